//! The manual page.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::{Cli, SECTIONS};

/// Returns the page in roff format.
pub(crate) fn page() -> io::Result<Vec<u8>> {
    let command = Cli::command();
    let man = Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    subcommands(&command, &mut page)?;
    for (title, text) in SECTIONS {
        // `.nf` keeps the lines of tables, which clap_mangen would join.
        let title = title.to_uppercase();
        page.extend(format!(".SH {title}\n.nf\n{}\n.fi\n", escape(text)).into_bytes());
    }
    Ok(page)
}

/// Describes the subcommands with their options. clap_mangen would refer to a page for each, which does not exist.
fn subcommands(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    page.extend(b".SH SUBCOMMANDS\n");
    for subcommand in command.get_subcommands() {
        let name = escape(subcommand.get_name());
        page.extend(format!(".SS cfw\\-wait {name}\n").into_bytes());
        let about = subcommand.get_long_about().or(subcommand.get_about());
        let about = about.map(ToString::to_string).unwrap_or_default();
        page.extend(escape(&about).replace("\n\n", "\n.PP\n").into_bytes());
        page.push(b'\n');
        let mut options = Vec::new();
        Man::new(subcommand.clone()).render_options_section(&mut options)?;
        for line in String::from_utf8_lossy(&options).lines() {
            // The options stay in the section of the subcommand.
            if !line.starts_with(".SH ") {
                page.extend(format!("{line}\n").into_bytes());
            }
        }
    }
    Ok(())
}

/// Escapes text for roff. Lines must not begin with a dot or an apostrophe.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_a_roff_request() {
        for (_, text) in SECTIONS {
            assert!(text.lines().all(|line| !line.starts_with(['.', '\''])), "{text}");
        }
    }

    #[test]
    fn subcommands_have_their_options() {
        let page = String::from_utf8(page().unwrap()).unwrap().replace("\\-", "-");
        let (_, simulate) = page.split_once(".SS cfw-wait simulate\n").unwrap();
        let (simulate, _) = simulate.split_once(".SS ").unwrap();
        for text in ["--jobs", "--access-key", "CFW_SIMULATOR_PID", "[default: 20s]"] {
            assert!(simulate.contains(text), "{text}: {simulate}");
        }
        assert!(!simulate.contains("--timeout"), "{simulate}");
    }
}
