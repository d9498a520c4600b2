/** ssh through Session Manager: the AWS CLI opens the connection, by the id of the instance, and no port has to be open to ssh. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Diagnostic } from "../../base/diagnostic.ts";
import { shellWord } from "../../base/shell-word.ts";
import type { ProviderSettings } from "../../spec/cluster-spec.ts";
import type { SshRoute } from "../ssh/ssh-model.ts";
import type { InstanceIds } from "./instance-ids.ts";

/** What ssh runs for the host with an address. */
export function sessionManagerRoute(provider: ProviderSettings, ids: InstanceIds): SshRoute["proxyCommandOf"] {
  if (provider["sessionManager"] !== true) return () => null;
  return (host) => sessionCommand(provider, ids.at(host) ?? host);
}

/** As AWS documents it for ssh's ProxyCommand; ssh replaces `%p` by the port. */
export function sessionCommand(provider: ProviderSettings, instance: string): string {
  const given = (flag: string, key: string): string =>
    provider[key] === undefined ? "" : ` ${flag} ${shellWord(String(provider[key])).replaceAll("%", "%%")}`;
  const settings = given("--region", "region") + given("--profile", "profile") + given("--endpoint-url", "endpoint");
  return `aws ssm start-session --target ${instance} --document-name AWS-StartSSHSession --parameters portNumber=%p${settings}`;
}

const tools = {
  aws: "the AWS CLI (https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html)",
  "session-manager-plugin":
    "AWS's plugin for it (https://docs.aws.amazon.com/systems-manager/latest/userguide/session-manager-working-with-install-plugin.html)",
};

/** What this machine lacks. */
export function checkSessionManager(
  provider: ProviderSettings,
  path: string = process.env["PATH"] ?? "",
): readonly Diagnostic[] {
  if (provider["sessionManager"] !== true) return [];
  return Object.entries(tools).flatMap(([program, what]): Diagnostic[] => {
    if (path.split(delimiter).some((directory) => isExecutable(join(directory, program)))) return [];
    const summary = `${program} is not on the PATH of this machine`;
    const detail = `With \`sessionManager: true\`, ssh reaches instances through it. Install ${what}, or remove \`sessionManager\`.`;
    return [{ severity: "error", code: "aws/no-session-manager", summary, detail }];
  });
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
