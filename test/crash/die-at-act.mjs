/**
 * Loaded into haplan with `node --import`. An act is any side effect of haplan: a file created, written, renamed or
 * removed, a process started or signaled, a member called to change the membership. The process kills itself with
 * SIGKILL around the first act at which no earlier run has died, and records the act's name first: run after run,
 * every act is once the last one. Names contain no pids or random parts, so that they are the same in the next run.
 *
 *   HAPLAN_ACTS         file with the names of acts that runs have reached
 *   HAPLAN_ACTS_STRIDE  die only at one in this many of them
 */
import childProcess from "node:child_process";
import fs from "node:fs";
import http2 from "node:http2";
import { syncBuiltinESMExports } from "node:module";
import { relative } from "node:path";

const actsFile = process.env.HAPLAN_ACTS;
const stride = Number(process.env.HAPLAN_ACTS_STRIDE ?? 1);
const { appendFileSync, existsSync, readFileSync, readlinkSync } = fs;
const { kill } = process;
const known = new Set(existsSync(actsFile) ? readFileSync(actsFile, "utf8").split("\n") : []);
const paths = new Map();
/** The journal's last line: the context of a write of the state. */
let journalled = "start";

/** Records the act. True when this run has to die at it. */
function isLast(name) {
  if (known.has(name)) return false;
  known.add(name);
  appendFileSync(actsFile, `${name}\n`);
  return known.size % stride === 0;
}

function dieAt(name) {
  if (isLast(name)) kill.call(process, process.pid, "SIGKILL");
}

function nameOf(path) {
  const steady = relative(process.cwd(), String(path))
    .replace(/\.\d+\.tmp$/, ".tmp")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, "ID")
    .replace(/lock\/\d+\.json/, "lock/N.json");
  // The same file is written for every step.
  return /state\.json/.test(steady) ? `${steady} after ${journalled}` : steady;
}

/** A temporary file counts from its rename on: an empty or partial one is as good as none. */
const isTemporary = (path) => String(path).endsWith(".tmp");
const isOurs = (path) => !relative(process.cwd(), String(path)).startsWith("..");

/** `name` receives the arguments; null for what is not an act. */
function before(module, method, name) {
  const original = module[method];
  module[method] = (...args) => {
    const act = name(...args);
    if (act !== null) dieAt(act);
    return original.apply(module, args);
  };
  return original;
}

const openSync = fs.openSync;
fs.openSync = (path, flags, ...rest) => {
  const writes = flags !== undefined && flags !== "r" && isOurs(path);
  if (writes && !isTemporary(path) && !existsSync(path)) dieAt(`make ${nameOf(path)}`);
  const file = openSync.call(fs, path, flags, ...rest);
  if (writes) paths.set(file, path);
  else paths.delete(file);
  return file;
};

const writeSync = fs.writeSync;
fs.writeSync = (file, data, ...rest) => {
  const path = paths.get(file);
  if (path === undefined) return writeSync.call(fs, file, data, ...rest);
  const bytes = Buffer.from(data);
  let act = `write ${nameOf(path)}`;
  if (String(path).endsWith("journal.jsonl")) {
    const { stepId, phase } = JSON.parse(bytes.toString("utf8").slice(17));
    act = `journal ${phase} ${stepId}`;
    journalled = `${phase} ${stepId}`;
  }
  dieAt(act);
  if (!isTemporary(path) && isLast(`half of ${act}`)) {
    writeSync.call(fs, file, bytes.subarray(0, bytes.length / 2));
    kill.call(process, process.pid, "SIGKILL");
  }
  return writeSync.call(fs, file, data, ...rest);
};

before(fs, "writeFileSync", (path) => (isOurs(path) && !isTemporary(path) ? `write ${nameOf(path)}` : null));
before(fs, "renameSync", (_, to) => `rename to ${nameOf(to)}`);
before(fs, "linkSync", (_, to) => `link ${nameOf(to)}`);
before(fs, "ftruncateSync", (file) => `truncate ${nameOf(paths.get(file) ?? "")}`);
before(fs, "mkdirSync", (path) => (existsSync(path) ? null : `directory ${nameOf(path)}`));
before(fs, "rmSync", (path) => (existsSync(path) ? `remove ${nameOf(path)}` : null));

const spawn = childProcess.spawn;
childProcess.spawn = (file, args, options) => {
  dieAt(`start ${nameOf(options.cwd)}`);
  const child = spawn.call(childProcess, file, args, options);
  dieAt(`started ${nameOf(options.cwd)}`);
  return child;
};

process.kill = (pid, signal) => {
  if (signal === 0) return kill.call(process, pid, 0);
  let whose = "a process";
  try {
    whose = nameOf(readlinkSync(`/proc/${Math.abs(pid)}/cwd`));
  } catch {
    // It has already exited.
  }
  dieAt(`send ${signal} to ${whose}`);
  const sent = kill.call(process, pid, signal);
  dieAt(`sent ${signal} to ${whose}`);
  return sent;
};

/** Once a request is sent, and again once its response has arrived, before haplan has processed it. */
const changes = /MemberAdd|MemberPromote|MemberRemove|MemberUpdate|MoveLeader|ChangeMembers|Drain/;
const connect = http2.connect;
http2.connect = (...args) => {
  const session = connect.apply(http2, args);
  const { request } = session;
  session.request = (headers, ...rest) => {
    const stream = request.call(session, headers, ...rest);
    if (!changes.test(headers[":path"])) return stream;
    const act = `${headers[":path"]} after ${journalled}`;
    stream.once("finish", () => {
      if (isLast(`asked ${act}`)) setTimeout(() => kill.call(process, process.pid, "SIGKILL"), 1);
    });
    stream.prependOnceListener("response", () => dieAt(`answered ${act}`));
    return stream;
  };
  return session;
};

syncBuiltinESMExports();
