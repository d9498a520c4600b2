/**
 * The verbs and their flags. What a verb runs is loaded once it is asked for: what one verb needs is not to be waited
 * for by the others.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Help, Option } from "commander";
import { parseVariables } from "./argv.ts";
import type { CliContext, ExitCode } from "./cli-context.ts";
import { refuse } from "./refusal.ts";
import type { JsonForm, ReporterFlags } from "./reporter.ts";
import { readVariableFiles } from "./variable-files.ts";

type JsonFlag = { readonly json?: boolean };

type GlobalFlags = ReporterFlags & {
  readonly var: readonly string[];
  readonly varFile: readonly string[];
  readonly chdir?: string;
};

/** A command as its module exports it: words and flags come in the order in which the verb's usage names them. */
type CommandFunction = (context: CliContext, ...words: never[]) => ExitCode | Promise<ExitCode>;
type Lazily = (load: () => Promise<CommandFunction>) => (...words: unknown[]) => Promise<void>;

/** `finish` gets the exit code of the command that ran. */
export function createProgram(surroundings: CliContext, finish: (code: ExitCode) => void): Command {
  // Flags are known once the words are read, which is before any action looks at the context.
  const context: CliContext = {
    ...surroundings,
    get cwd() {
      return resolve(surroundings.cwd, program.opts<GlobalFlags>().chdir ?? ".");
    },
    get variables() {
      const flags = program.opts<GlobalFlags>();
      return { ...readVariableFiles(context.cwd, flags.varFile), ...parseVariables(flags.var) };
    },
  };
  const program = new Command("haplan")
    .description("Plan and apply highly available control planes. Flags take one dash or two.")
    .exitOverride()
    .configureHelp({
      showGlobalOptions: true,
      // An empty list is what a repeatable flag begins with, and no default to tell.
      optionDescription: (option) => new Help().optionDescription(option).replace(" (default: [])", ""),
    })
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
    .option("--var-file <file>", "variables from a file, YAML or JSON (repeatable; -var counts more)", collect, [])
    .option("--chdir <directory>", "work in this directory, as if haplan was started there")
    .option("--json-into <file>", "stream events into this file too, one JSON object a line")
    .option("--annotations <system>", "also print diagnostics as annotations: github")
    .option("--compact-warnings", "show warnings without their explanations")
    .option("--no-color", "no colors; NO_COLOR=1 says the same")
    .version(`haplan v${context.version}`, "-v, --version", "same as the version command");
  program.hook("preAction", (_, action) => {
    const flags = program.opts<GlobalFlags>();
    context.invocation.about({ variables: flags.var, variableFiles: flags.varFile, chdir: flags.chdir ?? null });
    context.reporter.configure(jsonForm(action.name(), action.opts<JsonFlag>().json === true), flags, context);
    if (!existsSync(context.cwd))
      throw refuse("cli/no-directory", `There is no directory ${flags.chdir}`, "It was given with -chdir.");
  });
  const lazily: Lazily =
    (load) =>
    async (...words) => {
      const run = await load();
      // The last word is commander's own: the verb as an object.
      finish(await run(context, ...(words.slice(0, -1) as never[])));
    };
  const verb = (usage: string, description: string): Command => program.command(usage).description(description);
  addChangeVerbs(verb, lazily);
  addLookingVerbs(verb, lazily);
  addStateVerbs(program, lazily);
  verb("completion <shell>", "print a completion script for bash, zsh or fish").action(
    lazily(async () => {
      const { runCompletion } = await import("./commands/completion.ts");
      return (_, shell: string) => runCompletion(context, program, shell);
    }),
  );
  return program;
}

/** Verbs whose -json is a stream of events. */
const streaming = new Set(["plan", "apply", "destroy"]);

export function jsonForm(verb: string, json: boolean): JsonForm {
  if (!json) return "none";
  return streaming.has(verb) ? "stream" : "document";
}

type AddVerb = (usage: string, description: string) => Command;

function addChangeVerbs(verb: AddVerb, lazily: Lazily): void {
  const json = "print JSON";
  verb("plan [spec]", "show what would be done, and the quorum after each step")
    .option("--out <file>", "save the plan, to be applied exactly as it is")
    .option("--detailed-exitcode", "exit with 2 when there are changes")
    .option("--json", "stream events, one JSON object a line; the plan as a document: show -json")
    .option("--destroy", "plan to destroy everything")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .option("--refresh <true|false>", "false does not look at the cluster and takes the state's word", "true")
    .option("--state-only <cluster>", stateOnlyHelp)
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption("for Terraform's scripts: a plan takes no lock"))
    .addOption(lockTimeoutOption("for Terraform's scripts: a plan takes no lock"))
    .action(lazily(async () => (await import("./commands/plan.ts")).runPlan));
  verb("apply [spec-or-plan]", "do it: from a spec after asking, or from a saved plan")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object a line")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .option("--destroy", "as the verb destroy")
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/apply.ts")).runApply));
  verb("destroy [spec]", "stop everything and remove what haplan has made")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object a line")
    .option("--target <address>", destroyTargetHelp, collect, [])
    .option("--state-only <cluster>", stateOnlyHelp)
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/apply.ts")).runDestroy));
  verb("show [plan]", "show a saved plan, or without one the state")
    .option("--json", json)
    .option("--markdown", "as a comment for a pull request")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/show.ts")).runShow));
  verb("import <address> [id]", "take something that is there and that the spec asks for into the state")
    .option("--spec <file>", specHelp)
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/import.ts")).runImport));
}

function addLookingVerbs(verb: AddVerb, lazily: Lazily): void {
  const json = "print JSON";
  verb("validate [spec]", "check a spec without looking at anything else")
    .option("--json", json)
    .action(lazily(async () => (await import("./commands/validate.ts")).runValidate));
  verb("fmt [spec]", "put a spec into its one form; - is standard input, and standard output then")
    .option("--diff", "print what changes, as a unified diff")
    .option("--check", "change nothing; exit with 3 when it is not in form")
    .action(lazily(async () => (await import("./commands/fmt.ts")).runFmt));
  verb("status [spec]", "show members, leader, quorum, load balancer and workers; exit with 4 without a quorum")
    .option("--json", json)
    .option("--detailed-exitcode", "exit with 2 when a voter is missing and there is a quorum")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/status.ts")).runStatus));
  verb("output [spec]", "print endpoint, endpoints and env (shell lines for etcdctl)")
    .option("--json", json)
    .option("--raw <name>", "print the value of one output only")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/output.ts")).runOutput));
  verb("quorum [n]", "table of instances, quorum and fault tolerance; for N also what partitions do")
    .option("--json", json)
    .option("--domains <counts>", "members in each failure domain, such as 3,3")
    .action(lazily(async () => (await import("./commands/quorum.ts")).runQuorum));
  verb("graph [spec]", "print what depends on what, in DOT or as Mermaid")
    .option("--format <dot|mermaid>", "for Graphviz, or for a Markdown page", "dot")
    .action(lazily(async () => (await import("./commands/graph.ts")).runGraph));
  verb("schema", "print the JSON Schema of a spec").action(
    lazily(async () => (await import("./commands/schema.ts")).runSchema),
  );
  verb("version", "print the version")
    .option("--json", json)
    .action(lazily(async () => (await import("./commands/version.ts")).runVersion));
}

function addStateVerbs(program: Command, lazily: Lazily): void {
  const state = program.command("state").description("look into the state, and put it right by hand");
  const verb = (usage: string, description: string): Command =>
    state
      .command(usage)
      .description(description)
      .option("--spec <file>", specHelp)
      .option("--state-only <cluster>", stateOnlyHelp);
  const edit = (usage: string, description: string): Command =>
    verb(usage, description).addOption(lockOption()).addOption(lockTimeoutOption());
  const dryRun = "say what would be done, and change nothing";
  verb("list [addresses...]", "list resources; by address or type, or all").action(
    lazily(async () => (await import("./commands/state.ts")).runStateList),
  );
  verb("show <address>", "show one resource").action(
    lazily(async () => (await import("./commands/state.ts")).runStateShow),
  );
  edit("mv <from> <to>", "give a resource another name")
    .option("--dry-run", dryRun)
    .action(lazily(async () => (await import("./commands/state.ts")).runStateMv));
  edit("rm <addresses...>", "forget resources; the next plan finds what is there again")
    .option("--dry-run", dryRun)
    .action(lazily(async () => (await import("./commands/state.ts")).runStateRm));
  verb("pull", "print the state").action(lazily(async () => (await import("./commands/state.ts")).runStatePull));
  edit("push <file>", "put a file in the state's place; - is standard input")
    .option("--force", "also when its lineage is another or its serial is not later")
    .action(lazily(async () => (await import("./commands/state.ts")).runStatePush));
  program
    .command("force-unlock <lock-id>")
    .description("take the lock away from a run that hangs")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .option("--force", "do not ask")
    .action(lazily(async () => (await import("./commands/force-unlock.ts")).runForceUnlock));
}

const replaceHelp = "make this anew: a machine, a certificate; restart a process (repeatable)";
const targetHelp = "only this resource and what it depends on, such as haplan_worker.w1 (repeatable)";
const destroyTargetHelp = "only this resource and what depends on it; the only way to an adopted member (repeatable)";
const refreshOnlyHelp = "change nothing but the state";
const stateOnlyHelp = "no spec: this cluster, as it was last applied in this directory";
const specHelp = "the spec whose state it is, if not ./cluster.yaml";

function lockOption(help = "lock the state; false only where nothing else can be at work"): Option {
  return new Option("--lock <true|false>", help).default("true");
}

function lockTimeoutOption(help = "wait this long for another run to end, such as 30s"): Option {
  return new Option("--lock-timeout <duration>", help).default("0");
}

function inputOption(): Option {
  return new Option("--input <true|false>", "false never asks: what would have to be asked is refused").default("true");
}

function parallelismOption(): Option {
  return new Option(
    "--parallelism <n>",
    "for Terraform's scripts: haplan decides itself which steps it takes at the same time",
  ).argParser((text: string) => {
    if (/^[1-9]\d*$/.test(text)) return text;
    throw refuse(
      "cli/bad-parallelism",
      `-parallelism=${text} is not a whole number of at least 1`,
      "Leave it out, or write 10.",
    );
  });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
