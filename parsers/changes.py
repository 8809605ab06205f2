"""What changed in a life, in SQL over the tables of `lives.py`."""

_IDS = {"user": ("uid", "euid", "suid", "fsuid"), "group": ("gid", "egid", "sgid", "fsgid")}
_MOST_ID = (1 << 31) - 1  # which atop on 32-bit machines has of the living in place of what is more
_CONTAINER = ("container", "uts_name", "openvz_container")


def _differs(*names: str) -> str:
    now, before = (f"({', '.join(f'{side}.{name}' for name in names)})" for side in ("now", "before"))
    return f"{now} IS DISTINCT FROM {before}"


CHANGES = rf"""
CREATE OR REPLACE TEMP TABLE changes_of_lives AS
WITH looks AS (
    SELECT row_id, life_id, step, is_exit, is_zombie, atop_version, known.* EXCLUDE (row_id)
    FROM lives JOIN {{known}} AS known USING (row_id) JOIN logs USING (log_id)
),
compared AS (
    SELECT now.row_id, before.row_id AS before_row, now.atop_version = before.atop_version AS is_same_atop,
        before.virtual_bytes <> 0 AND CASE
            WHEN now.is_exit THEN before.thread_count = 1 AND replace(now.process, '\x0a', '?') <> before.process
            ELSE now.virtual_bytes <> 0 AND (
                {_differs("process")} OR is_same_atop AND now.command_line <> before.command_line
            )
        END AS is_program,
        CASE WHEN now.is_exit THEN {_differs("uid")} AND before.uid <> {_MOST_ID}
            ELSE {_differs(*_IDS["user"])} END AS is_user,
        CASE WHEN now.is_exit THEN {_differs("gid")} AND before.gid <> {_MOST_ID}
            ELSE {_differs(*_IDS["group"])} END AS is_group,
        NOT now.is_exit AND is_same_atop AND {_differs(*_CONTAINER)} AS is_container,
        now.cgroup_path <> before.cgroup_path AS is_cgroup
    FROM looks AS now JOIN looks AS before ON before.life_id = now.life_id AND before.step = now.step - 1
    WHERE NOT (now.is_zombie OR before.is_zombie OR before.is_exit)
),
different AS (FROM compared WHERE is_program OR is_user OR is_group OR is_container OR is_cgroup)
SELECT lives.time_us, lives.sample_id, lives.entry, lives.row_id, is_exit AND is_program AS is_late,
    greatest(lives.time_us - face_ends.time_us, 0) // 1000000 AS early_s, 0 AS late_s,
    concat_ws(', ',
        CASE WHEN is_program THEN 'program' END, CASE WHEN is_user THEN 'user' END, CASE WHEN is_group THEN 'group' END,
        CASE WHEN is_container THEN 'container' END, CASE WHEN is_cgroup THEN 'cgroup' END
    ) AS changed,
    CASE WHEN is_program THEN before.process END AS previous_process,
    CASE WHEN is_program THEN before.command_line END AS previous_command_line,
    CASE WHEN is_user THEN before.username END AS previous_username,
    CASE WHEN is_user THEN before.uid END AS previous_uid,
    CASE WHEN is_user THEN before.effective_username END AS previous_effective_username,
    CASE WHEN is_user THEN before.euid END AS previous_euid,
    CASE WHEN is_group THEN before.gid END AS previous_gid,
    CASE WHEN is_group THEN before.egid END AS previous_egid,
    CASE WHEN is_container THEN coalesce(before.container, before.uts_name) END AS previous_container,
    CASE WHEN is_cgroup THEN before.cgroup_path END AS previous_cgroup_path
FROM different JOIN lives USING (row_id) JOIN {{known}} AS before ON before.row_id = before_row
LEFT JOIN face_ends ON face_row = before_row
"""
r"""`changes_of_lives`: where a face differs from the one before of its life, and in what.

Names of kernel threads, which have no memory, change all the time. A process that is ending has none as well, and the
arguments of one that is just beginning a program are not there yet. An exit record's name is that of the last thread,
and has a line feed where that of a live one has `?`. What a version of atop does not record has not changed with it.
"""
