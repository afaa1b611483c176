//! The id of a project, looked up by its name for access keys.

use reqwest::Url;
use serde_json::Value;

use crate::{http::endpoint::Endpoint, wire::without_bom};

/// The query for a project by name.
#[derive(Debug, Clone)]
pub(crate) struct ProjectQuery {
    pub(crate) iam: Endpoint,
    pub(crate) name: String,
}

impl ProjectQuery {
    pub(super) fn url(&self) -> Url {
        let mut url = self.iam.join(&format!("{}/projects", self.iam.version_path()));
        url.query_pairs_mut().append_pair("name", &self.name);
        url
    }

    /// Returns the id in the answer. The outer error is for a body that cannot be used, the inner one for a project
    /// that does not exist or is not unique.
    pub(super) fn parse(&self, body: &[u8]) -> Result<Result<String, String>, &'static str> {
        let body: Value =
            serde_json::from_slice(without_bom(body)).map_err(|_| "not JSON, or cut")?;
        let projects =
            body.get("projects").and_then(Value::as_array).ok_or("projects: expected an array")?;
        let text = |project: &Value, key| {
            project
                .get(key)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        let mut ids = projects
            .iter()
            .filter(|project| text(project, "name").as_deref() == Some(&*self.name))
            .filter_map(|project| text(project, "id"));
        Ok(match (ids.next(), ids.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(format!("the key's account has no project {:?}", self.name)),
            (Some(_), Some(_)) => {
                Err(format!("the key's account has several projects {:?}: set the id", self.name))
            }
        })
    }
}
