//! Colours and signs, as the terminal supports them.

/// The signs of a live display. Each is one column wide, except for the ellipsis in ASCII.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Signs {
    pub(crate) success: &'static str,
    pub(crate) failure: &'static str,
    pub(crate) notice: &'static str,
    pub(crate) ellipsis: &'static str,
    pub(crate) full_cell: &'static str,
    pub(crate) empty_cell: &'static str,
    pub(crate) spinner: &'static [&'static str],
}

pub(crate) const UNICODE: Signs = Signs {
    success: "✓",
    failure: "✗",
    notice: "!",
    ellipsis: "…",
    full_cell: "█",
    empty_cell: "░",
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
};

pub(crate) const ASCII: Signs = Signs {
    success: "+",
    failure: "x",
    notice: "!",
    ellipsis: "...",
    full_cell: "#",
    empty_cell: "-",
    spinner: &["|", "/", "-", "\\"],
};

/// Applies styles as terminal escapes, or leaves the text plain if colours are disabled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Styles {
    pub(crate) has_colours: bool,
    pub(crate) signs: &'static Signs,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Style {
    Success,
    Error,
    Warning,
    Dim,
}

impl Styles {
    pub(crate) fn apply(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Success => 32,
            Style::Error => 31,
            Style::Warning => 33,
            Style::Dim => 2,
        };
        if self.has_colours && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Returns the signs that the terminal of this environment can show.
///
/// The locale is the first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set. Without any the signs are
/// Unicode: containers have no locale, and their terminals are those of the host.
pub(crate) fn signs(variable: impl Fn(&str) -> Option<String>) -> &'static Signs {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()));
    let is_utf8 = locale.is_none_or(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    // The font of the Linux console has none of the signs.
    let has_font = variable("TERM").is_none_or(|term| term != "linux");
    if is_utf8 && has_font { &UNICODE } else { &ASCII }
}

/// Returns whether standard error, if it is a terminal, is one to redraw lines on.
///
/// The terminals of CI systems are logs. `CI` is set by all common ones.
pub(crate) fn can_redraw(variable: impl Fn(&str) -> Option<String>) -> bool {
    let is_ci = variable("CI").is_some_and(|ci| !["", "0", "false"].contains(&&*ci));
    let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
    !is_ci && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<'a>(variables: &'a [(&str, &str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn the_first_locale_that_is_set_decides_the_signs() {
        for (variables, expected) in [
            (&[][..], &UNICODE),
            (&[("LANG", "C")], &ASCII),
            (&[("LANG", "POSIX")], &ASCII),
            (&[("LANG", "de_DE.ISO-8859-1")], &ASCII),
            (&[("LANG", "de_DE.UTF-8")], &UNICODE),
            (&[("LANG", "C.utf8")], &UNICODE),
            (&[("LANG", "C"), ("LC_CTYPE", "C.UTF-8")], &UNICODE),
            (&[("LANG", "C.UTF-8"), ("LC_ALL", "C")], &ASCII),
            (&[("LANG", "C.UTF-8"), ("LC_CTYPE", "C"), ("LC_ALL", "")], &ASCII),
            (&[("TERM", "linux"), ("LANG", "C.UTF-8")], &ASCII),
        ] {
            assert_eq!(signs(with(variables)), expected, "{variables:?}");
        }
        assert!(ASCII.spinner.iter().all(|sign| sign.is_ascii()));
    }

    #[test]
    fn dumb_terminals_and_those_of_ci_are_not_redrawn() {
        for (variables, expected) in [
            (&[][..], true),
            (&[("TERM", "xterm")], true),
            (&[("TERM", "dumb")], false),
            (&[("CI", "true"), ("TERM", "xterm")], false),
            (&[("CI", "1")], false),
            (&[("CI", "false")], true),
            (&[("CI", "")], true),
        ] {
            assert_eq!(can_redraw(with(variables)), expected, "{variables:?}");
        }
    }

    #[test]
    fn plain_text_has_no_escapes() {
        let [plain, coloured] =
            [false, true].map(|has_colours| Styles { has_colours, signs: &ASCII });
        assert_eq!(plain.apply(Style::Error, "x"), "x");
        assert_eq!(coloured.apply(Style::Error, "x"), "\x1b[31mx\x1b[0m");
        assert_eq!(coloured.apply(Style::Error, ""), "");
    }
}
