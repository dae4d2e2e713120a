//! Devices: texts that are keys.

use millrace_engine::hashed_text;
use uuid::Uuid;

/// Namespace of the hash (a version 4 UUID drawn once for this pipeline). It is fixed for ever, as
/// states hold what it orders.
const NAMESPACE: Uuid = Uuid::from_u128(0x3d0e_6f52_a1c9_4b7d_8e34_5b90_c7f2_1a68);

hashed_text! {
    /// A device by its id: 1 to 64 bytes without NUL.
    id Device, 64, "device", NAMESPACE
}
