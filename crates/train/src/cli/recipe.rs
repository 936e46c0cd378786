//! The program `recipe`: a recipe in words, as a program for another library, or from PyTorch.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use wengert_core::Tensor;
use wengert_io::{npz, safetensors};
use wengert_nn::optim::{ConfigTable, Recipe};

use super::{BAD_INPUT, progress};
use crate::run::{self, Kinds, Plan, RunError};

/// Explains a recipe, or writes it as a program for another library.
#[derive(Debug, Parser)]
#[command(name = "recipe")]
struct RecipeArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints formulas, the curve of the rate, and what each parameter gets
    Explain {
        /// Recipe, or configuration of a run
        file: PathBuf,
        /// Weights, as safetensors or .npz, whose names and shapes stand for the model [default: that of the
        /// configuration]
        #[arg(long, value_name = "FILE")]
        model: Option<PathBuf>,
        /// Replaces a setting, such as `optimizer.lr=0.1`; may be given several times
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Prints a program for PyTorch that makes the same steps
    ToTorch {
        /// Recipe, or configuration of a run
        file: PathBuf,
    },
    /// Prints a program for optax that makes the same steps
    ToOptax {
        /// Recipe, or configuration of a run
        file: PathBuf,
    },
    /// Prints the recipe of an optimizer of PyTorch: its class and the groups of its `state_dict`, as JSON
    FromTorch {
        /// JSON file `{"class": .., "param_groups": [..]}`
        file: PathBuf,
    },
}

/// Runs the program `recipe` with the arguments of this process, and returns its exit code: 0, or 2 after a mistake in
/// its input, or if the other library has no equivalent.
pub fn recipe(kinds: &Kinds) -> ExitCode {
    if std::env::args().len() == 1 {
        let _ = RecipeArgs::command().print_help();
        return ExitCode::SUCCESS;
    }
    let args = match RecipeArgs::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    match printed(&args.command, kinds) {
        Ok(text) => {
            progress::print(&text);
            ExitCode::SUCCESS
        }
        Err(error) => {
            progress::error(&error.to_string());
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn printed(command: &Command, kinds: &Kinds) -> Result<String, RunError> {
    let refused = |file: &Path, error: &dyn std::fmt::Display| {
        RunError::Refused(format!("{}: {error}", file.display()))
    };
    match command {
        Command::Explain { file, model, set } => {
            let (recipe, own) = load(file, set, kinds)?;
            let params = model.as_deref().map_or(Ok(own), shapes)?;
            Ok(recipe.explain(&params))
        }
        Command::ToTorch { file } => {
            let (recipe, _) = load(file, &[], kinds)?;
            recipe.to_torch().map_err(|none| refused(file, &none))
        }
        Command::ToOptax { file } => {
            let (recipe, _) = load(file, &[], kinds)?;
            recipe.to_optax().map_err(|none| refused(file, &none))
        }
        Command::FromTorch { file } => {
            let recipe = Recipe::from_torch(&run::read(file)?);
            Ok(recipe.map_err(|error| refused(file, &error))?.to_string())
        }
    }
}

/// Names and shapes of parameters.
type Shapes = Vec<(String, Vec<usize>)>;

/// Reads a recipe, and the parameters of the model if the file configures one.
fn load(file: &Path, set: &[String], kinds: &Kinds) -> Result<(Recipe, Shapes), RunError> {
    if ConfigTable::load(file, set)?.has("model") {
        let plan = Plan::load(file, set, kinds)?;
        return Ok((plan.recipe().clone(), plan.parameters()));
    }
    let registry = kinds.optimizers.clone().overridden(set);
    Ok((registry.load(file)?, Shapes::new()))
}

/// Reads the names and shapes of a file of weights.
fn shapes(file: &Path) -> Result<Shapes, RunError> {
    let is_npz = file.extension().is_some_and(|extension| extension == "npz");
    let tensors = if is_npz { npz::read::<f32>(file)? } else { safetensors::read::<f32>(file)? };
    let shape = |(name, tensor): (String, Tensor<f32>)| (name, tensor.shape().to_vec());
    Ok(tensors.into_iter().map(shape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<String, String> {
        let args = RecipeArgs::try_parse_from([&["recipe"], arguments].concat()).unwrap();
        printed(&args.command, &Kinds::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_recipe_is_explained_and_translated() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name).display().to_string()
        };
        let recipe = file("recipe.toml", "[optimizer]\nkind = 'amsgrad'\nclip_norm = 1.0");
        let weights = folder.path().join("weights.npz");
        npz::write(&weights, &[("a.weight".to_owned(), Tensor::<f32>::ones([2, 3]))].into())
            .unwrap();
        let weights = weights.display().to_string();
        let text = run(&["explain", &recipe, "--model", &weights, "--set", "lr=0.25"]).unwrap();
        assert!(text.contains("  a.weight   [2, 3]  the recipe  clip_norm > adam  0.25"), "{text}");
        assert!(run(&["to-torch", &recipe]).unwrap().contains("torch.optim.Adam"));
        let none = run(&["to-optax", &recipe]).unwrap_err();
        assert!(none.contains("recipe.toml: `adam` has no equivalent: optax takes"), "{none}");
        let json = file(
            "groups.json",
            "{\"class\": \"SGD\", \"param_groups\": [{\"lr\": 0.5, \"momentum\": 0.9}]}",
        );
        let printed = run(&["from-torch", &json]).unwrap();
        let expected = "[optimizer]\nlr = 0.5\naccumulate = 1\nnon_finite = \"ignore\"\nunused_parameters = \"error\"\n\n\
                        [[optimizer.chain]]\nkind = \"sgd\"\nmomentum = 0.9\ndampening = 0.0\nnesterov = false\n";
        assert_eq!(printed, expected);
        let wrong = file("wrong.json", "{\"class\": \"SGD\", \"param_groups\": [{\"lr\": -0.5}]}");
        let error = run(&["from-torch", &wrong]).unwrap_err();
        assert!(error.contains("wrong.json: line 1, column 42: `lr`"), "{error}");
    }

    /// The parameters are those of the model that the file configures.
    #[test]
    fn the_configuration_of_a_run_is_explained() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/configs/digits.toml");
        let text = run(&["explain", file]).unwrap();
        assert!(text.contains("Parameters\n") && text.contains(".weight   ["), "{text}");
    }
}
