//! Names that other libraries use for what a recipe calls otherwise: PyTorch, optax, Keras, and those that command
//! lines made common.
//!
//! They are not read, so that a recipe has one form; the message about one says the name here.

/// Other names of keys. Where several names here are given, the first that is valid in its place is meant.
const KEYS: [(&[&str], &[&str]); 35] = [
    (
        &["kind"],
        &[
            "name",
            "type",
            "optimizer",
            "optim",
            "algorithm",
            "class",
            "class_name",
            "method",
            "_target_",
        ],
    ),
    (
        &["lr", "max_lr"],
        &[
            "learning_rate",
            "lrate",
            "rate",
            "eta",
            "base_lr",
            "initial_lr",
            "initial_learning_rate",
            "init_value",
            "peak_lr",
            "peak_value",
            "max_lr",
            "start_lr",
            "peak",
        ],
    ),
    (&["max_lr"], &["lr", "peak"]),
    (&["eps"], &["epsilon", "eps_root"]),
    (&["alpha"], &["rho", "decay", "smoothing", "decay_rate", "beta", "beta2", "b2"]),
    (&["rho"], &["alpha", "decay"]),
    (&["momentum"], &["mu", "mass", "momentum_coefficient", "beta", "beta1", "b1", "decay"]),
    (&["nesterov"], &["use_nesterov"]),
    (&["amsgrad"], &["ams_grad", "use_amsgrad"]),
    (&["initial_accumulator_value"], &["initial_accumulator", "accumulator"]),
    (
        &["clip_norm", "max_norm"],
        &[
            "clip_grad_norm",
            "clip_grad_norm_",
            "max_grad_norm",
            "grad_clip",
            "grad_clip_norm",
            "grad_norm_clip",
            "gradient_clip",
            "gradient_clip_val",
            "gradient_clip_norm",
            "gradient_clipping",
            "clip_gradients",
            "clip",
            "global_clipnorm",
            "clip_by_global_norm",
            "clip_global_norm",
            "max_norm",
            "clip_norm",
        ],
    ),
    (&["clip_tensor_norm"], &["clipnorm", "clip_by_norm"]),
    (
        &["clip_value"],
        &[
            "clipvalue",
            "clip_grad_value",
            "clip_grad_value_",
            "clip_by_value",
            "max_delta",
            "value",
        ],
    ),
    (
        &["weight_decay"],
        &["wd", "l2", "l2_penalty", "l2_regularization", "weight_decay_rate", "decay"],
    ),
    (&["decoupled_weight_decay"], &["decoupled", "decouple", "decouple_weight_decay"]),
    (
        &["ema", "decay"],
        &["use_ema", "ema_momentum", "ema_decay", "moving_average", "swa", "polyak", "average"],
    ),
    (&["maximize"], &["maximise", "ascend"]),
    (
        &["accumulate"],
        &[
            "gradient_accumulation_steps",
            "gradient_accumulation",
            "accumulation_steps",
            "accumulate_grad_batches",
            "grad_accum",
            "grad_accum_steps",
            "accum_steps",
            "every_k_schedule",
            "accumulation",
        ],
    ),
    (&["non_finite"], &["skip_nonfinite", "skip_nan", "apply_if_finite", "nan", "nonfinite"]),
    (&["unused_parameters"], &["find_unused_parameters", "allow_unused", "unused"]),
    (&["groups"], &["param_groups", "parameter_groups", "group"]),
    (&["params"], &["parameters", "param", "names", "name", "pattern", "patterns", "match"]),
    (&["frozen"], &["freeze", "is_frozen", "froze"]),
    (&["chain"], &["transforms", "transform", "optimizers", "rules", "links"]),
    (
        &["warmup_steps"],
        &[
            "warmup",
            "warm_up",
            "warmup_iters",
            "warmup_length",
            "warmup_epochs",
            "warmup_ratio",
            "num_warmup_steps",
            "warm_up_steps",
        ],
    ),
    (&["warmup_start_factor"], &["warmup_factor", "warmup_init", "warmup_start"]),
    (
        &["t_max", "total_iters", "total_steps", "step_size", "t_0", "timescale"],
        &[
            "decay_steps",
            "transition_steps",
            "steps",
            "num_steps",
            "n_steps",
            "max_steps",
            "max_iters",
            "iterations",
            "num_training_steps",
            "training_steps",
            "total_iters",
            "step_size",
            "first_decay_steps",
            "epochs",
        ],
    ),
    (
        &["eta_min", "min_lr"],
        &["min_lr", "end_value", "final_lr", "end_lr", "min_learning_rate", "eta_min"],
    ),
    (&["gamma", "factor"], &["decay_rate", "decay_factor", "factor", "gamma"]),
    (&["milestones"], &["boundaries", "boundaries_and_scales", "steps"]),
    (&["pieces"], &["schedules", "schedulers", "parts"]),
    (&["pct_start"], &["warmup_steps", "warmup", "warmup_pct"]),
    (&["t_mult"], &["t_mul", "mult"]),
    (&["threshold"], &["min_delta"]),
    (&["power"], &["exponent"]),
];

/// Other names of kinds, written as [`plain`] gives them.
const KINDS: [(&str, &[&str]); 28] = [
    ("sgd", &["gd", "gradientdescent", "stochasticgradientdescent", "vanilla"]),
    ("momentum", &["heavyball", "sgdmomentum", "momentumsgd", "trace"]),
    ("nesterov", &["nag", "nesterovmomentum", "sgdnesterov"]),
    ("rmsprop", &["scalebyrms"]),
    ("adagrad", &["scalebyrss"]),
    ("adam", &["scalebyadam"]),
    ("lazy_adam", &["sparseadam", "adamlazy"]),
    ("lion", &["scalebylion"]),
    ("adan", &["scalebyadan"]),
    ("muon", &["scalebymuon", "orthogonalize"]),
    ("schedule_free_adamw", &["adamwschedulefree", "schedulefree", "adamschedulefree"]),
    (
        "clip_norm",
        &[
            "clipbyglobalnorm",
            "clipgradnorm",
            "globalclipnorm",
            "clipgradients",
            "gradientclipping",
        ],
    ),
    ("clip_tensor_norm", &["clipnorm", "clipbynorm"]),
    ("clip_value", &["clip", "clipgradvalue", "clipbyvalue", "clipvalue"]),
    ("weight_decay", &["adddecayedweights", "decayedweights", "l2"]),
    ("ema", &["average", "averagedmodel", "swa", "swalr", "polyak", "useema"]),
    ("constant", &["constantlr", "constantschedule", "fixed", "none"]),
    ("step", &["steplr", "stepdecay", "staircase"]),
    (
        "multi_step",
        &[
            "multisteplr",
            "piecewiseconstant",
            "piecewiseconstantschedule",
            "piecewiseconstantdecay",
        ],
    ),
    ("exponential", &["exponentiallr", "exponentialdecay"]),
    ("linear", &["linearlr", "linearschedule", "lineardecay"]),
    ("polynomial", &["polynomiallr", "polynomialschedule", "polynomialdecay", "poly"]),
    ("inverse_sqrt", &["noam", "rsqrt", "inversesquareroot"]),
    (
        "cosine",
        &[
            "cosineannealinglr",
            "cosineannealing",
            "cosinedecay",
            "cosinedecayschedule",
            "warmupcosine",
            "warmupcosinedecayschedule",
            "cosinelr",
        ],
    ),
    (
        "cosine_warm_restarts",
        &["cosineannealingwarmrestarts", "cosinedecayrestarts", "sgdr", "sgdrschedule"],
    ),
    ("one_cycle", &["onecyclelr", "cosineonecycleschedule", "linearonecycleschedule"]),
    ("plateau", &["reducelronplateau", "reduceonplateau"]),
    ("joined", &["sequentiallr", "joinschedules", "sequential", "chainedscheduler"]),
];

/// Names of a schedule that stands beside the rate elsewhere, and in its place here.
const SCHEDULES: [&str; 8] = [
    "schedule",
    "scheduler",
    "lr_schedule",
    "lr_scheduler",
    "learning_rate_schedule",
    "learning_rate_scheduler",
    "decay_schedule",
    "rate_schedule",
];

/// Returns whether a key elsewhere names the schedule of the learning rate.
pub(super) fn is_schedule(key: &str) -> bool {
    SCHEDULES.contains(&&*key.to_lowercase())
}

/// Returns what the `key` of another library is called here, if that is one of the `valid` keys.
pub(super) fn of_key(key: &str, valid: &[impl AsRef<str>]) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let is_valid = |name: &str| valid.iter().any(|valid| valid.as_ref() == name);
    if is_schedule(&key) && is_valid("lr") {
        return Some("it is a table under `lr` here: `lr = { kind = .. }`".into());
    }
    if ["beta1", "beta2", "beta_1", "beta_2", "b1", "b2"].contains(&&*key) && is_valid("betas") {
        return Some("it is an element of `betas` here".into());
    }
    if ["trainable", "requires_grad", "train"].contains(&&*key) && is_valid("frozen") {
        return Some("it is the opposite of `frozen` here".into());
    }
    if ["cycle_momentum", "base_momentum", "max_momentum"].contains(&&*key)
        && is_valid("div_factor")
    {
        let here = "the momentum has a schedule of its own here: \
                    `momentum = { kind = \"one_cycle_momentum\", .. }`, or the first of `betas`";
        return Some(here.into());
    }
    names_here(&key).find(|name| is_valid(name)).map(called)
}

/// Returns what the `key` of another library may be called here.
pub(super) fn names_here(key: &str) -> impl Iterator<Item = &'static str> {
    let here = KEYS.iter().filter(move |(_, others)| others.contains(&key));
    here.flat_map(|(here, _)| here.iter().copied())
}

/// Returns what the `kind` of another library is called here, if that is one of the `valid` kinds.
pub(super) fn of_kind(kind: &str, valid: &[impl AsRef<str>]) -> Option<String> {
    let kind = plain(kind);
    let known = valid.iter().map(AsRef::as_ref).find(|valid| plain(valid) == kind);
    let other =
        || KINDS.iter().find_map(|(here, others)| others.contains(&&*kind).then_some(*here));
    let here = known.or_else(other)?;
    valid.iter().any(|valid| valid.as_ref() == here).then(|| called(here))
}

fn called(name: &str) -> String {
    format!("it is called `{name}` here")
}

/// Returns a name without capitals and signs, in which libraries differ.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
