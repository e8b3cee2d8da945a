// What we ask of a commit in PostgreSQL, for the store and the control database alike.
#pragma once

namespace postback::base {

// An SQL expression: the value for synchronous_commit. What we say is stored is on the disk, the
// server's own and that of the standbys which synchronous_standby_names asks for, whatever the
// server's default is. `local` leaves the standbys out, and `remote_write` does not wait for their
// disks. Stronger than `on` is only remote_apply: it also waits until a standby shows the row.
inline constexpr const char* kPgSynchronousCommit =
    "CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply'"
    " ELSE 'on' END";

}  // namespace postback::base
