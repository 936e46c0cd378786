//! Whether a recipe fits a model: the names that its groups match, and the shapes that its rules accept.

use wengert_core::Shape;

use super::error::ConfigError;
use super::recipe::Recipe;

impl Recipe {
    /// Returns the index of the group that a parameter belongs to.
    pub(crate) fn group_of(&self, name: &str) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.params.iter().any(|pattern| pattern.matches(name)))
    }

    /// Checks that each rule accepts the shapes of its parameters, given their names and shapes.
    pub(crate) fn check_shapes(&self, params: &[(String, Shape)]) -> Result<(), ConfigError> {
        for (name, shape) in params {
            let plan = match self.group_of(name) {
                Some(group) => self.groups[group].plan.as_ref(),
                None => Some(&self.plan),
            };
            for transform in plan.into_iter().flat_map(|plan| &plan.chain) {
                let Err(reason) = transform.accepts(*shape) else { continue };
                let message = format!(
                    "`{}` refuses the shape {shape:?} of `{name}`: {reason}; put such parameters into a group with \
                     another kind, such as `adamw`",
                    transform.kind()
                );
                let source = transform.source.as_deref().cloned().unwrap_or_default();
                return Err(source.error(message));
            }
        }
        Ok(())
    }

    /// Checks that each pattern matches the name of a parameter of the model, and that each group has a parameter
    /// which belongs to no earlier one.
    pub(crate) fn check_names(&self, names: &[String]) -> Result<(), ConfigError> {
        for (index, group) in self.groups.iter().enumerate() {
            let mistake = |pattern: usize, message: String| {
                Err(group.sources.get(pattern).cloned().unwrap_or_default().error(message))
            };
            for (i, pattern) in group.params.iter().enumerate() {
                if !names.iter().any(|name| pattern.matches(name)) {
                    let known = names.join("`, `");
                    return mistake(
                        i,
                        format!("no parameter is called `{pattern}`; the model has `{known}`"),
                    );
                }
            }
            if !names.iter().any(|name| self.group_of(name) == Some(index)) {
                let matches = |name: &&String| group.params.iter().any(|p| p.matches(name));
                let found: Vec<&str> = names.iter().filter(matches).map(String::as_str).collect();
                return mistake(
                    0,
                    format!(
                        "the group has no effect: earlier groups have its parameters `{}`",
                        found.join("`, `")
                    ),
                );
            }
        }
        Ok(())
    }
}
