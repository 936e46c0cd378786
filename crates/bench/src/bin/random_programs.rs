//! Random programs for `tests/interop/random_programs.py`.
//!
//! ```sh
//! random_programs draw FIRST COUNT   # prints programs of these seeds, one a line, with the results in double precision
//! random_programs run f64            # reads programs, one a line, and prints their results
//! random_programs names              # prints the names of all operations
//! ```

#[path = "../../../../tests/programs/random/mod.rs"]
mod random;

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};

use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    match args[..] {
        ["draw", first, count] => draw(first.parse()?, count.parse()?),
        ["run", precision @ ("f32" | "f64")] => run(precision == "f32"),
        ["names"] => {
            println!("{}", random::ops::NAMES.concat().join("\n"));
            Ok(())
        }
        _ => Err("usage: random_programs draw FIRST COUNT | run f32 | run f64 | names".into()),
    }
}

fn draw(first: u64, count: u64) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    for seed in first..first + count {
        let program = random::draw::draw(seed);
        let results = random::run::run::<f64>(&program);
        writeln!(
            out,
            "{}",
            json!({ "program": program, "f64": results, "f32": random::run::run::<f32>(&program) })
        )?;
    }
    Ok(())
}

fn run(single: bool) -> Result<(), Box<dyn Error>> {
    let mut out = stdout().lock();
    for line in stdin().lock().lines() {
        let program = serde_json::from_str(&line?)?;
        let results = if single {
            random::run::run::<f32>(&program)
        } else {
            random::run::run::<f64>(&program)
        };
        writeln!(out, "{}", json!(results))?;
        out.flush()?;
    }
    Ok(())
}
