/** The user that units run as: made when it is first needed, and removed with the last machine. */
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { chmod, chown } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../base/clock.ts";
import { makeDirDurably, writeFileDurably } from "../../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../../base/haplan-error.ts";
import { restoreDir, unitUserName } from "../../base/host-paths.ts";
import type { UnitOwner } from "../../providers/supervisor.ts";
import { runTool } from "./systemctl.ts";

/** How long another useradd may take, and the end of a process. */
const otherMs = 5_000;
const pollMs = 50;
/** Beside the clusters, when haplan made the user: one that was there before stays. */
const madeFile = ".made-user";

/** Makes the user where there is none, and the directory of all clusters, which units that are written are let into. */
export async function makeUser(clusters: string): Promise<UnitOwner> {
  makeDirDurably(clusters);
  return readUser() ?? (await addUser(clusters));
}

async function addUser(clusters: string): Promise<UnitOwner> {
  // Before the user: if the run ends between the two, one user too few is remembered rather than one too many left.
  writeFileDurably(join(clusters, madeFile), "");
  // A user may have been removed without its group.
  const group = hasGroup(readFileSync("/etc/group", "utf8")) ? ["--gid", unitUserName] : ["--user-group"];
  const options = ["--system", ...group, "--no-create-home", "--home-dir", "/nonexistent"];
  const failure = await runTool("useradd", [...options, "--shell", "/usr/sbin/nologin", unitUserName]).then(
    () => new HaplanError("provider/no-user", `There is no user "${unitUserName}" although it was made`),
    (error: unknown) => error,
  );
  // Units that start at the same time all find no user: one of them makes it, and the others wait for that.
  const deadlineMs = performance.now() + otherMs;
  for (;;) {
    const made = readUser();
    if (made !== null) return made;
    if (performance.now() >= deadlineMs) throw failure;
    await systemClock.sleep(pollMs);
  }
}

/** Whether there is a group of the user's name; `groups` is what /etc/group has. */
export function hasGroup(groups: string): boolean {
  return new RegExp(`^${unitUserName}:`, "m").test(groups);
}

export function readUser(): UnitOwner | null {
  const [, userId, groupId] =
    new RegExp(`^${unitUserName}:[^:]*:(\\d+):(\\d+):`, "m").exec(readFileSync("/etc/passwd", "utf8")) ?? [];
  return userId === undefined ? null : { userId: Number(userId), groupId: Number(groupId) };
}

/** Removes the directories of a cluster and of all clusters where they are empty, and with the last one the user. */
export async function removeWhatIsLeft(clusters: string, cluster: string): Promise<void> {
  // A restore that was killed leaves its snapshot.
  if (!existsSync(join(cluster, "machines"))) rmSync(join(cluster, restoreDir), { recursive: true, force: true });
  removeIfEmpty(cluster);
  // What others have put there needs no user of haplan's.
  if (listIfThere(clusters).some((entry) => existsSync(join(clusters, entry, "machines")))) return;
  const made = join(clusters, madeFile);
  if (existsSync(made)) {
    await deleteUser();
    rmSync(made);
  }
  removeIfEmpty(clusters);
  // A mount point, a link or a directory with files of others stays, and has to belong to a user that there is.
  if (!existsSync(clusters)) return;
  await chown(clusters, 0, 0);
  await chmod(clusters, 0o755);
}

/** The last process of a unit that has stopped may still be ending, and userdel refuses until it has. */
async function deleteUser(): Promise<void> {
  const deadlineMs = performance.now() + otherMs;
  while (readUser() !== null) {
    const failure = await runTool("userdel", [unitUserName]).then(
      () => null,
      (error: unknown) => error,
    );
    if (failure === null) return;
    if (performance.now() >= deadlineMs || !/currently used by process/.test(errorText(failure))) throw failure;
    await systemClock.sleep(pollMs);
  }
}

function listIfThere(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch (error) {
    if (!["ENOENT", "ENOTEMPTY", "EEXIST", "EBUSY", "ENOTDIR"].includes(systemErrorCode(error) ?? "")) throw error;
  }
}
