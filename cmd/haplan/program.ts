/**
 * The commands and their flags. The code of a command is loaded when it runs, so that no command waits for the
 * dependencies of another.
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

/** A command as its module exports it: arguments and flags come in the order of its usage line. */
type CommandFunction = (context: CliContext, ...words: never[]) => ExitCode | Promise<ExitCode>;
type Lazily = (load: () => Promise<CommandFunction>) => (...words: unknown[]) => Promise<void>;

/** `finish` gets the exit code of the command that ran. */
export function createProgram(runEnvironment: CliContext, finish: (code: ExitCode) => void): Command {
  // Flags are known once the words are parsed, which is before any action uses the context.
  const context: CliContext = {
    ...runEnvironment,
    get cwd() {
      return resolve(runEnvironment.cwd, program.opts<GlobalFlags>().chdir ?? ".");
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
      // A repeatable flag starts with an empty list, which is not a default worth showing.
      optionDescription: (option) => new Help().optionDescription(option).replace(" (default: [])", ""),
    })
    .configureOutput({
      writeOut: (text) => context.terminal.print(text.trimEnd()),
      writeErr: (text) => context.terminal.printError(text.trimEnd()),
    })
    .option("--var <name=value>", "set a variable of the spec (repeatable; overrides the environment)", collect, [])
    .option("--var-file <file>", "read variables from a YAML or JSON file (repeatable; -var overrides it)", collect, [])
    .option("--chdir <directory>", "run as if haplan was started in this directory")
    .option("--json-into <file>", "also write events into this file, one JSON object per line")
    .option("--annotations <system>", "also print diagnostics as annotations: github")
    .option("--compact-warnings", "show warnings without their details")
    .option("--no-color", "disable colors, like NO_COLOR=1")
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
      // The last argument is commander's own: the command as an object.
      finish(await run(context, ...(words.slice(0, -1) as never[])));
    };
  const verb = (usage: string, description: string): Command => program.command(usage).description(description);
  addChangeCommands(verb, lazily);
  addDataCommands(verb, lazily);
  addShowCommands(verb, lazily);
  addRehearseCommand(verb, lazily);
  addDrillCommand(verb, lazily);
  addInspectCommands(verb, lazily);
  addFollowCommands(verb, lazily);
  addNodeCommands(verb, lazily);
  addCertificateCommands(program, lazily);
  addStateCommands(program, lazily);
  verb("completion <shell>", "print a completion script for bash, zsh or fish").action(
    lazily(async () => {
      const { runCompletion } = await import("./commands/completion.ts");
      return (_, shell: string) => runCompletion(context, program, shell);
    }),
  );
  return program;
}

/** Commands whose -json is a stream of events. */
const streaming = new Set([
  "plan",
  "apply",
  "destroy",
  "check",
  "events",
  "logs",
  "rotate",
  "restore",
  "recover",
  "watch",
]);

export function jsonForm(verb: string, json: boolean): JsonForm {
  if (!json) return "none";
  return streaming.has(verb) ? "stream" : "document";
}

type AddCommand = (usage: string, description: string) => Command;

function addChangeCommands(verb: AddCommand, lazily: Lazily): void {
  verb("plan [spec]", "show what apply would do, and the quorum after each step")
    .option("--out <file>", "save the plan, to be applied exactly as it is")
    .option("--detailed-exitcode", "exit with 2 when there are changes")
    .option("--json", "stream events, one JSON object per line; for the plan as a document: show -json")
    .option("--destroy", "plan to destroy everything")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .option("--refresh <true|false>", "false trusts the state instead of observing the cluster", "true")
    .option("--state-only <cluster>", stateOnlyHelp)
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption("accepted for scripts; a plan takes no lock"))
    .addOption(lockTimeoutOption("accepted for scripts; a plan takes no lock"))
    .action(lazily(async () => (await import("./commands/plan.ts")).runPlan));
  verb("apply [spec-or-plan]", "apply a spec after approval, or a saved plan")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object per line")
    .option("--replace <address>", replaceHelp, collect, [])
    .option("--target <address>", targetHelp, collect, [])
    .option("--refresh-only", refreshOnlyHelp)
    .option("--destroy", "same as the destroy command")
    .option("--max-write-gap <duration>", "stop when a client has waited longer for a write, such as 2s; exit with 5")
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/apply.ts")).runApply));
  verb("destroy [spec]", "stop everything and remove what haplan has created")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object per line")
    .option("--target <address>", destroyTargetHelp, collect, [])
    .option("--state-only <cluster>", stateOnlyHelp)
    .addOption(inputOption())
    .addOption(parallelismOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/apply.ts")).runDestroy));
}

function addDataCommands(verb: AddCommand, lazily: Lazily): void {
  const json = "print JSON";
  verb("backup [spec]", "take a verified backup of the data, from a follower")
    .option("--out <file>", "the file to write (default: a new name in the directory of backups)")
    .option("--json", json)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/backup.ts")).runBackup));
  verb("backups [spec]", "list the backups of a cluster")
    .option("--verify", "read all of each; exit with 1 if one cannot be restored")
    .option("--json", json)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/backups.ts")).runBackups));
  verb("restore <backup> [spec]", "restore a backup into a new cluster, or in place of the data of one")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object per line")
    .addOption(inputOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/restore.ts")).runRestore));
  verb("recover [spec]", "rebuild a cluster that has lost its quorum for good, from the member that has the most")
    .option(
      "--lost <name>",
      "this master will never come back, or its data is not to be used; may be repeated",
      collect,
      [],
    )
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object per line")
    .addOption(inputOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/recover.ts")).runRecover));
  verb("migrate [spec]", "replace a running cluster of etcd or of agents by the spec's, with its data and clients")
    .option("--rollback", "move the clients back to the old cluster, with what was written since")
    .option("--finish", "give up the way back")
    .option("--auto-approve", "do not ask")
    .addOption(inputOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/migrate.ts")).runMigrate));
}

function addShowCommands(verb: AddCommand, lazily: Lazily): void {
  const json = "print JSON";
  verb("show [plan]", "show a saved plan, or the state if none is given")
    .option("--json", json)
    .option("--markdown", "print a comment for a pull request")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/show.ts")).runShow));
  verb("import <address> [id]", "import an existing resource of the spec into the state")
    .option("--spec <file>", specHelp)
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/import.ts")).runImport));
}

function addRehearseCommand(verb: AddCommand, lazily: Lazily): void {
  verb(
    "rehearse [spec-or-plan]",
    "play a plan on a local copy, with a fault at each step; exit with 3 if one was not held, 2 if none was tried",
  )
    .option("--backup <file>", "the data of the copy: this backup")
    .option("--keys <count>", "the data of the copy: this many generated keys", "1000")
    .option("--faults <kinds>", "faults to try: some of kill,pause,cut,haplan", "kill,pause,cut,haplan")
    .option("--steps <steps>", "only at these steps: numbers, ranges, kinds, such as 3,5-7,changeVoters")
    .option("--members <names>", "only faults of these members, such as m1,m3")
    .option("--budget <duration>", "time for all trials; those that do not fit are listed as left out", "10m")
    .option("--html <file>", "also write the report as a page with timelines")
    .option("--json", "print JSON")
    .option("--replace <address>", replaceHelp, collect, [])
    .addOption(parallelismOption("how many copies run at once (default: a quarter of the processors)"))
    .action(lazily(async () => (await import("./commands/rehearse.ts")).runRehearse));
}

function addDrillCommand(verb: AddCommand, lazily: Lazily): void {
  verb("drill [spec]", "do chosen faults on the live cluster and report write gaps; exit with 3 if one was not held")
    .option(
      "--faults <kinds>",
      "faults to do, in this order: some of restart,pause,leader,vip (default: all there are)",
    )
    .option("--members <names>", "followers that may be restarted, paused or led, such as m2,m3")
    .option("--pause <duration>", "how long a follower is paused, at most 30s", "5s")
    .option("--auto-approve", "do not ask")
    .option("--json", "print JSON")
    .addOption(inputOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/drill.ts")).runDrillCommand));
}

function addInspectCommands(verb: AddCommand, lazily: Lazily): void {
  const json = "print JSON";
  verb("init [file]", "write a commented spec to start from; - prints it (default: cluster.yaml)")
    .option("--name <cluster>", "name of the cluster (default: that of this directory)")
    .option("--provider <type>", "local, ssh or aws (default: ssh with --hosts, else local)")
    .option("--hosts <hosts>", "hosts of the masters, over ssh: admin@10.0.0.1,10.0.0.2,10.0.0.3")
    .option("--workers <hosts>", "hosts of the workers")
    .option("--load-balancer <hosts>", "host of the load balancer, or several with -vip")
    .option("--vip <address>", "virtual address of several load balancers")
    .option("--identity-file <file>", "a private key for ssh")
    .option("--jump <host>", "a jump host, as ssh -J takes it")
    .option("--ssh-option <name=value>", "an option, as ssh -o takes it (repeatable)", collect, [])
    .option("--from-etcd <endpoints>", "client URLs of members that run, to adopt them")
    .option("--cacert <file>", "with -from-etcd: the authority that signed the members' certificates")
    .option("--cert <file>", "with -from-etcd: a client certificate")
    .option("--key <file>", "with -from-etcd: the key of the client certificate")
    .option("--ca-key <file>", "with -from-etcd: the authority's key, to issue certificates of new members")
    .action(lazily(async () => (await import("./commands/init.ts")).runInit));
  verb("validate [spec]", "validate a spec; reads only the file, and what hostsFrom names")
    .option("--json", json)
    .action(lazily(async () => (await import("./commands/validate.ts")).runValidate));
  verb("fmt [spec]", "format a spec; - formats standard input to standard output")
    .option("--diff", "print the changes as a unified diff")
    .option("--check", "change nothing; exit with 3 if the file is not formatted")
    .action(lazily(async () => (await import("./commands/fmt.ts")).runFmt));
  verb("check [spec]", "check the hosts of a spec and the network between them; change nothing")
    .option("--json", "stream events, one JSON object per line")
    .action(lazily(async () => (await import("./commands/check.ts")).runCheck));
  verb("output [spec]", "print endpoint, endpoints and env (shell lines for etcdctl)")
    .option("--json", json)
    .option("--raw <name>", "print the value of a single output")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/output.ts")).runOutput));
  verb("quorum [n]", "show instances, quorum and fault tolerance; for N also the effect of partitions")
    .option("--json", json)
    .option("--domains <counts>", "members in each failure domain, such as 3,3")
    .action(lazily(async () => (await import("./commands/quorum.ts")).runQuorum));
  verb("graph [spec]", "print the dependency graph, in DOT or as Mermaid")
    .option("--format <dot|mermaid>", "for Graphviz, or for a Markdown page", "dot")
    .action(lazily(async () => (await import("./commands/graph.ts")).runGraph));
  verb("kubernetes [spec]", "print the kubeadm commands for the hosts, in their order")
    .option("--config <host>", "print the kubeadm configuration of this host instead")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/kubernetes.ts")).runKubernetes));
  verb("schema", "print the JSON Schema of a spec").action(
    lazily(async () => (await import("./commands/schema.ts")).runSchema),
  );
  verb("artifact", "build the self-contained archive for hosts")
    .option("--arch <x64|arm64>", "architecture of the hosts (default: that of this machine)")
    .option("--out <file>", "where to write it (default: haplan-VERSION-linux-ARCH.tar.gz)")
    .option("--json", json)
    .action(lazily(async () => (await import("./commands/artifact.ts")).runArtifact));
  verb("version", "print the version")
    .option("--json", json)
    .action(lazily(async () => (await import("./commands/version.ts")).runVersion));
}

function addFollowCommands(verb: AddCommand, lazily: Lazily): void {
  verb("status [spec]", "show members, leader, quorum, load balancer and workers; exit with 4 without a quorum")
    .option("--json", "print JSON")
    .option("--detailed-exitcode", "exit with 2 when a voter is missing but there is a quorum")
    .option("-w, --watch", "look again and again, and tell what changes, until it is stopped")
    .option("--interval <duration>", "with -watch: how often to look; 2s if omitted")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/status.ts")).runStatus));
  verb("events [spec]", "show elections, membership changes, starts of members and applies, in the order of time")
    .option("-f, --follow", "also show events as they happen, until Ctrl-C")
    .option("--since <time>", "only from this time on: a duration such as 10m, or a time such as 2026-11-29T12:00:00Z")
    .option("--json", "stream events, one JSON object per line")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/events.ts")).runEvents));
  verb("watch [spec]", "keep a cluster at its spec, as far as repair: of the spec allows it, until it is stopped")
    .option("--interval <duration>", "how often to look", "10s")
    .option("--json", "stream events, one JSON object per line")
    .action(lazily(async () => (await import("./commands/watch.ts")).runWatch));
  verb("ui [spec-or-plan]", "show the cluster as it changes on a local page in the browser, until Ctrl-C")
    .option("--port <number>", "port on 127.0.0.1; 0 is any that is free", "0")
    .option("--interval <duration>", "how often to look", "2s")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/ui.ts")).runUi));
}

function addNodeCommands(verb: AddCommand, lazily: Lazily): void {
  verb("logs [nodes...]", "show the logs of nodes, or of all of them, in the order of time")
    .option("-f, --follow", "continue with what is logged, until Ctrl-C")
    .option("--since <duration|time>", "only what was logged since then: 10m, or 2026-11-29T12:00:00Z")
    .option("-n, --lines <count|all>", "the last lines of each unit (default: 100; all with -since)")
    .option("--unit <name>", "only of this unit, such as agent")
    .option("--json", "stream events, one JSON object per line")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/logs.ts")).runLogs));
  verb("exec <node> [command...]", "run a command on a node, and exit as it does: exec m1 -- df -h")
    .option("-T, --no-tty", "give the command no terminal")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/exec.ts")).runExec));
  verb("ssh <node>", "open a login shell on a node, as the spec reaches it")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/exec.ts")).runSsh));
}

function addCertificateCommands(program: Command, lazily: Lazily): void {
  const certs = program.command("certs").description("show certificates, and replace them");
  certs
    .command("status [spec]")
    .description("show all certificates: names, signer, expiry, and when they are renewed")
    .option("--json", "print JSON")
    .option("--state-only <cluster>", stateOnlyHelp)
    .action(lazily(async () => (await import("./commands/certs.ts")).runCertsStatus));
  certs
    .command("rotate [names...]")
    .description("issue these certificates again, or all of them")
    .option("--spec <file>", "the spec, if not ./cluster.yaml")
    .option("--ca", "replace the certificate authority, and trust the previous one until it is dropped")
    .option("--drop-old", "no longer trust the certificate authority that was replaced")
    .option("--out <file>", "only save the plan, to be applied exactly as it is")
    .option("--auto-approve", "do not ask")
    .option("--json", "stream events, one JSON object per line")
    .addOption(inputOption())
    .addOption(lockOption())
    .addOption(lockTimeoutOption())
    .action(lazily(async () => (await import("./commands/certs.ts")).runCertsRotate));
}

function addStateCommands(program: Command, lazily: Lazily): void {
  const state = program.command("state").description("inspect the state, and repair it by hand");
  const verb = (usage: string, description: string): Command =>
    state
      .command(usage)
      .description(description)
      .option("--spec <file>", specHelp)
      .option("--state-only <cluster>", stateOnlyHelp);
  const edit = (usage: string, description: string): Command =>
    verb(usage, description).addOption(lockOption()).addOption(lockTimeoutOption());
  const dryRun = "print what would be done, and change nothing";
  verb("list [addresses...]", "list resources; all, or by address or type").action(
    lazily(async () => (await import("./commands/state.ts")).runStateList),
  );
  verb("show <address>", "show one resource").action(
    lazily(async () => (await import("./commands/state.ts")).runStateShow),
  );
  edit("mv <from> <to>", "rename a resource")
    .option("--dry-run", dryRun)
    .action(lazily(async () => (await import("./commands/state.ts")).runStateMv));
  edit("rm <addresses...>", "forget resources; the next plan finds again what still exists")
    .option("--dry-run", dryRun)
    .action(lazily(async () => (await import("./commands/state.ts")).runStateRm));
  verb("pull", "print the state").action(lazily(async () => (await import("./commands/state.ts")).runStatePull));
  edit("push <file>", "replace the state with a file; - is standard input")
    .option("--force", "accept another lineage or an earlier serial")
    .action(lazily(async () => (await import("./commands/state.ts")).runStatePush));
  program
    .command("force-unlock <lock-id>")
    .description("break the lock of a run that hangs")
    .option("--spec <file>", specHelp)
    .option("--state-only <cluster>", stateOnlyHelp)
    .option("--force", "do not ask")
    .action(lazily(async () => (await import("./commands/force-unlock.ts")).runForceUnlock));
}

const replaceHelp = "replace this resource: a machine, a certificate; or restart a process (repeatable)";
const targetHelp = "only this resource and its dependencies, such as haplan_worker.w1 (repeatable)";
const destroyTargetHelp = "only this resource and its dependents; required for an adopted member (repeatable)";
const refreshOnlyHelp = "change only the state";
const stateOnlyHelp = "without a spec: this cluster, as last applied in this directory";
const specHelp = "the spec of the state, if not ./cluster.yaml";

function lockOption(help = "lock the state; false only if no other run is possible"): Option {
  return new Option("--lock <true|false>", help).default("true");
}

function lockTimeoutOption(help = "wait this long for the lock, such as 30s"): Option {
  return new Option("--lock-timeout <duration>", help).default("0");
}

function inputOption(): Option {
  return new Option("--input <true|false>", "false never asks: a run that needs approval fails").default("true");
}

function parallelismOption(help = "accepted for scripts; haplan itself decides which steps run concurrently"): Option {
  return new Option("--parallelism <n>", help).argParser((text: string) => {
    if (/^[1-9]\d*$/.test(text)) return text;
    throw refuse(
      "cli/bad-parallelism",
      `-parallelism=${text} is not a whole number of at least 1`,
      "Omit it, or write 10.",
    );
  });
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}
