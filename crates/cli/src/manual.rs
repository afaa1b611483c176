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
    page.extend(subcommands(&command).into_bytes());
    for (title, text) in SECTIONS {
        // `.nf` keeps the lines of tables, which clap_mangen would join.
        let title = title.to_uppercase();
        page.extend(format!(".SH {title}\n.nf\n{}\n.fi\n", escape(text)).into_bytes());
    }
    Ok(page)
}

/// Lists the subcommands. clap_mangen would refer to a page for each, which does not exist.
fn subcommands(command: &Command) -> String {
    let mut section = ".SH SUBCOMMANDS\n".to_owned();
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        let name = escape(subcommand.get_name());
        section.push_str(&format!(".TP\n\\fBcfw\\-wait {name}\\fR\n{}\n", escape(&about)));
    }
    section
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
}
