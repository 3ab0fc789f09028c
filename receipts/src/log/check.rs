//! Comparing stored tiles with the receipts that they are hashes of.

use super::{LogError, LogTail, TileSource, TileWrite};
use crate::digest::{LeafHash, LogRoot};

/// Recomputes every tile of a log of `size` receipts from its leaf hashes and compares it with what is stored.
///
/// Memory does not grow with the log. A tile is compared as soon as it is complete, those that stay incomplete at the
/// end, by level; the error names the first that differs in this order.
///
/// # Errors
/// [`LogError`]: a tile is missing or wrong, or there are not exactly `size` leaves.
pub fn check_tiles(
    size: u64,
    leaves: impl IntoIterator<Item = LeafHash>,
    source: &(impl TileSource + ?Sized),
) -> Result<LogRoot, LogError> {
    let mut tail = LogTail::new();
    for leaf in leaves {
        if tail.size() == size {
            return Err(LogError::LeafCount { expected: size, found: size + 1 });
        }
        tail.append(leaf);
        for tile in tail.take_complete_tiles() {
            check_tile(&tile, source)?;
        }
    }
    if tail.size() != size {
        return Err(LogError::LeafCount { expected: size, found: tail.size() });
    }
    for tile in tail.take_dirty_tiles() {
        check_tile(&tile, source)?;
    }
    Ok(tail.root())
}

fn check_tile(computed: &TileWrite, source: &(impl TileSource + ?Sized)) -> Result<(), LogError> {
    let TileWrite { level, index, ref hashes } = *computed;
    let stored = source.tile(level, index).ok_or(LogError::MissingTile { level, index })?;
    if stored.len() != hashes.len() {
        return Err(LogError::TileLength { level, index, expected: hashes.len(), found: stored.len() });
    }
    if stored != *hashes {
        return Err(LogError::WrongTile { level, index });
    }
    Ok(())
}
