/**
 * The verbs and their flags. Each action leaves its exit code with `finish`, and loads its command only then: what one
 * verb needs is not to be waited for by the others.
 */
import { Command, Option } from "commander";
import { parseVariables } from "./argv.ts";
import type { CliContext, ExitCode } from "./cli-context.ts";
import type { ApplyFlags } from "./commands/apply.ts";
import type { FmtFlags } from "./commands/fmt.ts";
import type { ForceUnlockFlags } from "./commands/force-unlock.ts";
import type { GraphFlags } from "./commands/graph.ts";
import type { ImportFlags } from "./commands/import.ts";
import type { OutputFlags } from "./commands/output.ts";
import type { PlanFlags } from "./commands/plan.ts";
import type { QuorumFlags } from "./commands/quorum.ts";
import type { ShowFlags } from "./commands/show.ts";
import type { StateEditFlags, StateFlags, StatePushFlags } from "./commands/state.ts";
import type { ReporterFlags } from "./reporter.ts";

type JsonFlag = { readonly json?: boolean };

export function createProgram(surroundings: CliContext, finish: (code: ExitCode) => void): Command {
  // Variables are known once the words are read, which is before any action looks at the context.
  const context: CliContext = {
    ...surroundings,
    get variables() {
      return parseVariables(program.opts<{ readonly var: readonly string[] }>().var);
    },
  };
  const program = new Command("haplan")
    .description("Plan and apply highly available control planes. Flags take one dash or two.")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.terminal.print(text.trimEnd()),
      writeErr: (text) => context.terminal.printError(text.trimEnd()),
    })
    .option(
      "--var <name=value>",
      "give a variable of the spec a value (repeatable; before the environment)",
      collect,
      [],
    )
    .option("--json-into <file>", "stream events into this file too, one JSON object a line")
    .option("--annotations <system>", "also print diagnostics as annotations: github")
    .option("--compact-warnings", "show warnings without their explanations")
    .option("--no-color", "no colours; NO_COLOR=1 says the same")
    .version(`haplan v${context.version}`, "-v, --version", "same as the version command");
  program.hook("preAction", (_, action) => {
    const form = action.opts<JsonFlag>().json ? (streaming.has(action.name()) ? "stream" : "document") : "none";
    context.reporter.configure(form, program.opts<ReporterFlags>(), context);
  });
  const verb = (usage: string, description: string): Command => program.command(usage).description(description);
  addChangeVerbs(context, verb, finish);
  addImportVerb(context, verb, finish);
  addLookingVerbs(context, verb, finish);
  addStateVerbs(context, program, finish);
  verb("completion <shell>", "print a completion script for bash, zsh or fish").action(async (shell: string) =>
    finish(await (await import("./commands/completion.ts")).runCompletion(context, program, shell)),
  );
  return program;
}

/** Verbs whose -json is a stream of events. */
const streaming = new Set(["apply", "destroy"]);

type AddVerb = (usage: string, description: string) => Command;

function addChangeVerbs(context: CliContext, verb: AddVerb, finish: (code: ExitCode) => void): void {
  const json = "print JSON";
  verb("plan [spec]", "show what would be done, and the quorum after each step")
    .option("--out <file>", "save the plan, to be applied exactly as it is")
    .option("--detailed-exitcode", "exit with 2 when there are changes")
    .option("--json", "print the plan in Terraform's JSON form")
    .option("--destroy", "plan to destroy everything")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .option("--refresh <true|false>", "false does not look at the cluster and takes the state's word", "true")
    .action(async (spec: string | undefined, flags: PlanFlags) =>
      finish(await (await import("./commands/plan.ts")).runPlan(context, spec, flags)),
    );
  verb("apply [spec-or-plan]", "do it: from a spec after asking, or from a saved plan")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object a line")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(async (argument: string | undefined, flags: ApplyFlags) =>
      finish(await (await import("./commands/apply.ts")).runApply(context, argument, flags)),
    );
  verb("destroy [spec]", "stop everything and remove what haplan has made")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object a line")
    .option("--target <address>", destroyTargetHelp, collect, [])
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(async (spec: string | undefined, flags: ApplyFlags) =>
      finish(await (await import("./commands/apply.ts")).runDestroy(context, spec, flags)),
    );
  verb("show [plan]", "show a saved plan, or without one the state")
    .option("--json", json)
    .option("--markdown", "as a comment for a pull request")
    .option("--spec <file>", specHelp)
    .action(async (path: string | undefined, flags: ShowFlags) =>
      finish(await (await import("./commands/show.ts")).runShow(context, path, flags)),
    );
}

function addImportVerb(context: CliContext, verb: AddVerb, finish: (code: ExitCode) => void): void {
  verb("import <address> [id]", "take something that is there and that the spec asks for into the state")
    .option("--spec <file>", specHelp)
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(async (address: string, id: string | undefined, flags: ImportFlags) =>
      finish(await (await import("./commands/import.ts")).runImport(context, address, id, flags)),
    );
}

function addLookingVerbs(context: CliContext, verb: AddVerb, finish: (code: ExitCode) => void): void {
  const json = "print JSON";
  verb("validate [spec]", "check a spec without looking at anything else")
    .option("--json", json)
    .action(async (spec: string | undefined, flags: JsonFlag) =>
      finish(await (await import("./commands/validate.ts")).runValidate(context, spec, flags)),
    );
  verb("fmt [spec]", "put a spec into its one form")
    .option("--check", "change nothing; exit with 3 when it is not in form")
    .action(async (spec: string | undefined, flags: FmtFlags) =>
      finish(await (await import("./commands/fmt.ts")).runFmt(context, spec, flags)),
    );
  verb("status [spec]", "show members, leader, quorum, load balancer and workers")
    .option("--json", json)
    .action(async (spec: string | undefined, flags: JsonFlag) =>
      finish(await (await import("./commands/status.ts")).runStatus(context, spec, flags)),
    );
  verb("output [spec]", "print endpoint, endpoints and env (shell lines for etcdctl)")
    .option("--json", json)
    .option("--raw <name>", "print the value of one output only")
    .action(async (spec: string | undefined, flags: OutputFlags) =>
      finish(await (await import("./commands/output.ts")).runOutput(context, spec, flags)),
    );
  verb("quorum [n]", "table of instances, quorum and fault tolerance; for N also what partitions do")
    .option("--json", json)
    .option("--domains <counts>", "members in each failure domain, such as 3,3")
    .action(async (count: string | undefined, flags: QuorumFlags) =>
      finish(await (await import("./commands/quorum.ts")).runQuorum(context, count, flags)),
    );
  verb("graph [spec]", "print what depends on what, in DOT or as Mermaid")
    .option("--format <dot|mermaid>", "for Graphviz, or for a Markdown page", "dot")
    .action(async (spec: string | undefined, flags: GraphFlags) =>
      finish(await (await import("./commands/graph.ts")).runGraph(context, spec, flags)),
    );
  verb("schema", "print the JSON Schema of a spec").action(async () =>
    finish(await (await import("./commands/schema.ts")).runSchema(context)),
  );
  verb("version", "print the version")
    .option("--json", json)
    .action(async (flags: JsonFlag) =>
      finish(await (await import("./commands/version.ts")).runVersion(context, flags)),
    );
}

function addStateVerbs(context: CliContext, program: Command, finish: (code: ExitCode) => void): void {
  const state = program.command("state").description("look into the state, and put it right by hand");
  const verb = (usage: string, description: string): Command =>
    state.command(usage).description(description).option("--spec <file>", specHelp);
  const edit = (usage: string, description: string): Command =>
    verb(usage, description).addOption(lockOption()).addOption(lockTimeoutOption());
  const dryRun = "say what would be done, and change nothing";
  verb("list [addresses...]", "list resources; by address or type, or all").action(
    async (addresses: readonly string[], flags: StateFlags) =>
      finish(await (await import("./commands/state.ts")).runStateList(context, addresses, flags)),
  );
  verb("show <address>", "show one resource").action(async (address: string, flags: StateFlags) =>
    finish(await (await import("./commands/state.ts")).runStateShow(context, address, flags)),
  );
  edit("mv <from> <to>", "give a resource another name")
    .option("--dry-run", dryRun)
    .action(async (from: string, to: string, flags: StateEditFlags) =>
      finish(await (await import("./commands/state.ts")).runStateMv(context, from, to, flags)),
    );
  edit("rm <addresses...>", "forget resources; the next plan finds what is there again")
    .option("--dry-run", dryRun)
    .action(async (addresses: readonly string[], flags: StateEditFlags) =>
      finish(await (await import("./commands/state.ts")).runStateRm(context, addresses, flags)),
    );
  verb("pull", "print the state").action(async (flags: StateFlags) =>
    finish(await (await import("./commands/state.ts")).runStatePull(context, flags)),
  );
  edit("push <file>", "put a file in the state's place; - is standard input")
    .option("--force", "also when its lineage is another or its serial is not later")
    .action(async (file: string, flags: StatePushFlags) =>
      finish(await (await import("./commands/state.ts")).runStatePush(context, file, flags)),
    );
  program
    .command("force-unlock <lock-id>")
    .description("take the lock away from a run that hangs")
    .option("--spec <file>", specHelp)
    .option("--force", "do not ask")
    .action(async (lockId: string, flags: ForceUnlockFlags) =>
      finish(await (await import("./commands/force-unlock.ts")).runForceUnlock(context, lockId, flags)),
    );
}

const replaceHelp = "replace this master, such as haplan_machine.m2 (repeatable)";
const targetHelp = "only this resource and what it depends on, such as haplan_worker.w1 (repeatable)";
const destroyTargetHelp = "only this resource and what depends on it; the only way to an adopted member (repeatable)";
const refreshOnlyHelp = "change nothing but the state";
const specHelp = "the spec whose state it is, if not ./cluster.yaml";

function lockOption(): Option {
  return new Option("--lock <true|false>", "lock the state; false only where nobody else can be at work").default(
    "true",
  );
}

function lockTimeoutOption(): Option {
  return new Option("--lock-timeout <duration>", "wait this long for another run to end, such as 30s").default("0");
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
