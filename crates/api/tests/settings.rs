//! Settings as a user of the crate reads them: from this process, and from files on disk.

use std::process::Command;

use cfw_api::Settings;

/// The environment of a process cannot be changed safely under running tests, so this test starts
/// itself again with one of its own.
#[test]
fn the_environment_of_the_process_is_read() {
    if std::env::var_os("CFW_SETTINGS_TEST").is_some() {
        let settings = Settings::from_env().unwrap();
        assert_eq!(settings.project_id(), Some("0b5a"));
        assert_eq!(settings.region(), Some("eu-de"));
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_environment_of_the_process_is_read"])
        .env_clear()
        .envs([
            ("CFW_SETTINGS_TEST", "1"),
            ("OS_TOKEN", "t"),
            ("OS_PROJECT_ID", "0b5a"),
            ("OS_REGION", "eu-de"),
        ])
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
}

#[cfg(feature = "clouds-yaml")]
mod files {
    use std::error::Error;
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};

    use cfw_api::Settings;

    fn home(name: &str, files: &[(&str, &[u8])]) -> io::Result<PathBuf> {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let directory = home.join(".config").join("openstack");
        fs::create_dir_all(&directory)?;
        files.iter().try_for_each(|(file, bytes)| fs::write(directory.join(file), bytes))?;
        Ok(home)
    }

    fn env(home: &Path) -> impl Fn(&str) -> Option<String> {
        move |name| (name == "HOME").then(|| home.display().to_string())
    }

    #[test]
    fn files_on_disk_are_found_and_merged() {
        let clouds = b"clouds: {otc: {profile: otc, auth: {username: u, user_domain_name: d, project_name: eu-nl}}}";
        let secure = b"clouds: {otc: {auth: {password: p}}}";
        let home = home("merged", &[("clouds.yaml", clouds), ("secure.yaml", secure)]).unwrap();
        let settings = Settings::from_cloud("otc", env(&home)).unwrap();
        assert_eq!(settings.auth_url(), Some("https://iam.eu-nl.otc.t-systems.com/v3"));
        assert_eq!(settings.project_name(), Some("eu-nl"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error_with_its_cause() {
        let home = home("unreadable", &[("clouds.yaml", b"clouds: \xff")]).unwrap();
        let error = Settings::from_cloud("otc", env(&home)).unwrap_err();
        let file = home.join(".config/openstack/clouds.yaml");
        assert_eq!(error.to_string(), format!("cannot read {}", file.display()));
        assert!(error.source().is_some());
    }
}
