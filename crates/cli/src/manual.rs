//! The manual page.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::args::{Cli, SECTIONS};

/// The page in roff.
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
        // Lines as they are: clap_mangen would fill the tables into paragraphs.
        let title = title.to_uppercase();
        page.extend(format!(".SH {title}\n.nf\n{}\n.fi\n", escape(text)).into_bytes());
    }
    Ok(page)
}

/// clap_mangen refers to a page for each subcommand; there is only this one.
fn subcommands(command: &Command) -> String {
    let mut section = ".SH SUBCOMMANDS\n".to_owned();
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        let name = escape(subcommand.get_name());
        section.push_str(&format!(".TP\n\\fBcfw\\-wait {name}\\fR\n{}\n", escape(&about)));
    }
    section
}

/// None of our lines begins with a dot or an apostrophe, which roff would obey.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_ours_is_an_order_to_roff() {
        for (_, text) in SECTIONS {
            assert!(text.lines().all(|line| !line.starts_with(['.', '\''])), "{text}");
        }
    }
}
