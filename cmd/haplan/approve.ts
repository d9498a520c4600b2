/** Approval before a change; only `yes` is accepted. */
import type { CliContext } from "./cli-context.ts";
import { parseSwitch } from "./lock-state.ts";
import { refuse } from "./refusal.ts";
import { standardInput } from "./spec-source.ts";

/**
 * Called before planning, so that a run that cannot ask fails at once and not after a minute of work; by a recovery after it,
 * whose plan says what may be lost. `onlyByHand`: why `-auto-approve` would not do.
 */
export function requireApprover(
  context: CliContext,
  spec: string | undefined,
  flags: { readonly autoApprove?: boolean; readonly json?: boolean; readonly input?: string },
  command: "apply" | "destroy" | "certs rotate" | "restore" | "recover" | "migrate" | "drill",
  onlyByHand?: string,
): void {
  const mayAsk = flags.input === undefined || parseSwitch("-input", flags.input);
  if (flags.autoApprove) return;
  // A reader of a JSON stream cannot answer questions.
  if (context.terminal.interactive && !flags.json && mayAsk && spec !== standardInput) return;
  const reason = mayAsk ? whyNoAnswer(spec) : "-input=false prevents that";
  const saved = ["destroy", "restore", "recover", "migrate", "drill"].includes(command)
    ? ""
    : ` A plan that was saved with \`haplan ${command === "apply" ? "plan" : command} -out=FILE\` is applied without asking.`;
  const again = (flags: readonly string[]): string => context.invocation.again({ flags });
  const inAdvance =
    onlyByHand === undefined
      ? `To approve in advance, run:\n    ${again(["-auto-approve"])}`
      : `${onlyByHand}\n    ${again([])}`;
  throw refuse(
    "cli/nobody-to-ask",
    `haplan ${command} asks for approval, but ${reason}`,
    `${command === "recover" ? "Nothing was changed." : "Nothing was planned or changed."}${saved} ${inAdvance}`,
  );
}

/** Reports why a question cannot be answered. */
export function whyNoAnswer(spec: string | undefined): string {
  return spec === standardInput ? "standard input holds the spec" : "standard input is not a terminal";
}

type Question = { readonly title: string; readonly text: string; readonly cancelled: string };

const questions: Readonly<Record<"apply" | "destroy" | "drill", Question>> = {
  apply: {
    title: "Do you want to perform these actions?",
    text: "haplan will perform the actions described above.",
    cancelled: "Apply cancelled.",
  },
  destroy: {
    title: "Do you really want to destroy all resources?",
    text: "haplan will destroy all your managed infrastructure, as shown above.\n  There is no undo.",
    cancelled: "Destroy cancelled.",
  },
  drill: {
    title: "Do you want to do these faults?",
    text: "haplan will do the faults described above on the live cluster, one after the other.",
    cancelled: "Drill cancelled.",
  },
};

/** @throws RefusalError unless the answer is exactly `yes` */
export async function askApproval(context: CliContext, mode: keyof typeof questions): Promise<void> {
  const { terminal } = context;
  const { bold } = terminal.paint;
  const { title, text, cancelled } = questions[mode];
  terminal.print(`\n${bold(title)}\n  ${text} Only 'yes' will be accepted to approve.\n`);
  const answer = await terminal.ask(`  ${bold("Enter a value:")} `, context.stop.signal);
  terminal.print("");
  if (answer?.trim() === "yes") return;
  throw refuse("cli/declined", cancelled, "Nothing was changed.");
}
