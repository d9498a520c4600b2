/**
 * Loaded into haplan with `node --import`: the process kills itself with SIGKILL at one moment of its run, before it can do
 * anything more. HAPLAN_DIE_AT is JSON with one of
 *
 *   renamed, holding   a file whose path and content match these expressions has been put in its place
 *   asked, sending     a call whose path and message (in hex) match these expressions was sent, and is not answered yet
 *   answered, sending  such a call was answered, and haplan has not seen the answer
 *
 * `after`: another such object, which has to have happened before.
 */
import fs from "node:fs";
import http2 from "node:http2";
import { syncBuiltinESMExports } from "node:module";

const wanted = JSON.parse(process.env.HAPLAN_DIE_AT);
const { kill } = process;
const { readFileSync } = fs;
let isDue = wanted.after === undefined;

function happened(kind, name, detail, key) {
  const matches = (moment) =>
    moment?.[kind] !== undefined && new RegExp(moment[kind]).test(name) && new RegExp(moment[key] ?? "").test(detail());
  if (isDue && matches(wanted)) kill.call(process, process.pid, "SIGKILL");
  if (matches(wanted.after)) isDue = true;
}

const renameSync = fs.renameSync;
fs.renameSync = (from, to) => {
  renameSync.call(fs, from, to);
  happened("renamed", String(to), () => readFileSync(to, "utf8"), "holding");
};

const connect = http2.connect;
http2.connect = (...args) => {
  const session = connect.apply(http2, args);
  const { request } = session;
  session.request = (headers, ...rest) => {
    const stream = request.call(session, headers, ...rest);
    const sent = [];
    for (const method of ["write", "end"]) {
      const original = stream[method];
      stream[method] = (...given) => {
        if (given[0] instanceof Uint8Array) sent.push(given[0]);
        return original.apply(stream, given);
      };
    }
    const message = () => Buffer.concat(sent).toString("hex");
    const path = String(headers[":path"]);
    // Its last bytes are on their way by then.
    stream.once("finish", () => setTimeout(() => happened("asked", path, message, "sending"), 1));
    stream.prependOnceListener("response", () => happened("answered", path, message, "sending"));
    return stream;
  };
  return session;
};

syncBuiltinESMExports();
