/** What a host is, before anything of haplan is on it: asked with nothing but a shell. */
import { shellWord } from "../../base/shell-word.ts";
import { systemScript } from "../../host/facts-script.ts";
import { parseFacts } from "../../host/parse-facts.ts";
import { type AskHost, draftPort, type SurveyedHost } from "../spec-draft.ts";
import { describeHolder, holderScript, parseHolder } from "./network-scripts.ts";
import { runOnHost } from "./run-ssh.ts";

const surveyMs = 20_000;

const script = `${systemScript}
fact route "$(ip -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \\([^ ]*\\).*/\\1/p')"
{ [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; } && fact root yes
true`;

/** Only where the entry of before can be removed from the table of neighbors. */
const holderPart = (address: string): string => `
echo holder
if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then
  ip() { if [ "$(id -u)" = 0 ]; then command ip "$@"; else sudo -n ip "$@"; fi; }
  ${holderScript({ address, port: draftPort })}
fi
true`;

/** @throws HaplanError `ssh/...` when the host was not reached */
export const surveyHost: AskHost = async (reach, sought, signal) => {
  const host = { target: { ...reach, proxyCommand: null, hostKey: null }, files: { knownHostsFile: null }, signal };
  const command = `sh -c ${shellWord(sought === null ? script : script + holderPart(sought))}`;
  return parseSurvey((await runOnHost({ ...host, command, timeoutMs: surveyMs })).stdout);
};

/** Known to the host itself, or to its link, alone. */
const ownAddress = /^(127\.|::1$|fe80:)/i;

export function parseSurvey(printed: string): SurveyedHost {
  const [text = "", answer = ""] = printed.split(/^holder$/m);
  const holder = parseHolder(answer);
  const { hostname, os, architecture, systemdVersion, isSystemdRunning, memoryBytes, addresses } = parseFacts(text);
  const [, route = ""] = /^route\t(\S+)$/m.exec(text) ?? [];
  const others = addresses.filter((address) => !ownAddress.test(address));
  return {
    hostname,
    os: os ?? "Linux",
    architecture,
    systemdVersion: isSystemdRunning ? systemdVersion : null,
    memoryBytes: memoryBytes ?? 0,
    addresses: [...new Set([...(route === "" ? [] : [route]), ...others])],
    becomesRoot: /^root\tyes$/m.test(text),
    holder: holder === null ? null : describeHolder(holder),
  };
}
