//! Images inside of a page: PNG as a `data:` address.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// An image from rows of pixels, each of as many bytes as the PNG colour type has channels: 2 for 4 (grey and alpha),
/// 3 for 2 (red, green and blue).
pub(crate) fn data_address(width: usize, height: usize, colour_type: u8, pixels: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(&png(width, height, colour_type, pixels)))
}

fn png(width: usize, height: usize, colour_type: u8, pixels: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width as u32, height as u32].map(u32::to_be_bytes).concat();
    header.extend([8, colour_type, 0, 0, 0]);
    chunk(&mut file, b"IHDR", &header);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in pixels.chunks(pixels.len().div_ceil(height.max(1)).max(1)) {
        // Each row begins with the number of its filter; 0 is none.
        encoder.write_all(&[0]).and_then(|()| encoder.write_all(row)).expect("memory takes all");
    }
    chunk(&mut file, b"IDAT", &encoder.finish().expect("memory takes all"));
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    file.extend((content.len() as u32).to_be_bytes());
    let mut crc = Crc::new();
    crc.update(kind);
    crc.update(content);
    file.extend(kind);
    file.extend(content);
    file.extend(crc.sum().to_be_bytes());
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let at = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i)) as usize & 63];
            text.push(if i > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_rfc_4648() {
        let expected = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"];
        for (i, expected) in expected.into_iter().enumerate() {
            assert_eq!(base64(&b"foobar"[..i]), expected);
        }
    }

    #[test]
    fn an_image_has_its_size_and_rows() {
        let file = png(2, 3, 4, &[0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6]);
        assert_eq!(file[12..33], *b"IHDR\0\0\0\x02\0\0\0\x03\x08\x04\0\0\0\x13\xe3\x16\n");
        let length = u32::from_be_bytes(file[33..37].try_into().unwrap()) as usize;
        let mut rows = Vec::new();
        let mut decoder = flate2::write::ZlibDecoder::new(&mut rows);
        decoder.write_all(&file[41..41 + length]).unwrap();
        decoder.finish().unwrap();
        assert_eq!(rows, [0, 0, 1, 0, 2, 0, 0, 3, 0, 4, 0, 0, 5, 0, 6]);
        assert!(file.ends_with(b"IEND\xaeB`\x82"));
    }
}
