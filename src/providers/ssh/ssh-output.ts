/** Tells what a command wrote to standard error apart from what ssh says of the connection there. Pure. */

/** What the command said, without what ssh says of the connection, which shows the whole command among it. */
export function withoutDebug(stderr: string): string {
  const lines: string[] = [];
  let inCommand = false;
  for (const line of stderr.split(/\r?\n/)) {
    const isDebug = /^(debug\d: |OpenSSH_|Authenticated to |Transferred: |Bytes per second: )/.test(line);
    if (isDebug) inCommand = /^debug\d: Sending command: /.test(line);
    else if (!inCommand) lines.push(line);
  }
  return lines.join("\n");
}
