//! Files of other formats, recognized by their first bytes.

pub(crate) const CHECKPOINT: &str = "a PyTorch checkpoint, which is a Python program; convert it in Python: \
     safetensors.torch.save_file(torch.load(\"model.pt\"), \"model.safetensors\")";

/// Returns what a file is that begins with these bytes, and what to do with it. `None` if it is unknown.
pub(crate) fn description(start: &[u8]) -> Option<&'static str> {
    let has = |text: &[u8]| start.windows(text.len()).any(|window| window == text);
    match start {
        // The first member of a checkpoint is `data.pkl`, in a folder.
        [b'P', b'K', 3, 4, ..] if has(b"data.pkl") => Some(CHECKPOINT),
        [b'P', b'K', 3, 4, ..] if has(b".npy") => Some("an .npz file; `npz::read` reads it"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive"),
        // The pickle of the number with which older checkpoints begin.
        [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, ..] => Some(CHECKPOINT),
        [0x80, 2..=5, ..] => Some("a Python pickle; save its tensors as safetensors in Python"),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => Some("an .npy file; `npy::read` reads it"),
        [0x89, b'H', b'D', b'F', ..] => {
            Some("an HDF5 file; save its tensors as safetensors in Python")
        }
        [b'G', b'G', b'U', b'F', ..] => Some("a GGUF file"),
        _ => None,
    }
}
