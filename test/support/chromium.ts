/** A real Chromium without a window, driven over its debugging protocol: pages, clicks, keys, requests, screenshots. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import WebSocket from "ws";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Its program; null where there is none. */
export const chromiumProgram: string | null = places.find((path) => existsSync(path)) ?? null;

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Readonly<Record<string, never>>;
  readonly result?: Readonly<Record<string, never>>;
  readonly error?: { readonly message: string };
};

const startTimeoutMs = 45_000;

/** The program may be a script that starts the browser: all of its group ends. */
function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** One browser with one page. */
export class Chromium {
  /** The URL of every request that any page has made, also of those that were blocked. */
  readonly requests: string[] = [];
  /** Errors of scripts, and what the content security policy has blocked. */
  readonly complaints: string[] = [];
  readonly #process: ChildProcess;
  readonly #directory: string;
  #socket: WebSocket | null = null;
  #session: string | null = null;
  #lastId = 0;
  readonly #waiting = new Map<number, (message: Message) => void>();

  private constructor(process: ChildProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
  }

  static async start(program: string): Promise<Chromium> {
    const directory = mkdtempSync(join(tmpdir(), "haplan-chromium-"));
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--hide-scrollbars",
      "--remote-debugging-port=0",
      `--user-data-dir=${directory}`,
      "about:blank",
    ];
    const browser = new Chromium(
      spawn(program, flags, { stdio: ["ignore", "ignore", "pipe"], detached: true }),
      directory,
    );
    try {
      await browser.#connect(await browser.#endpoint());
    } catch (error) {
      await browser.close();
      throw error;
    }
    return browser;
  }

  async open(url: string): Promise<void> {
    await this.#call("Page.navigate", { url });
  }

  /** The value of a JavaScript expression, or of the promise that it is. @throws Error if it throws */
  async evaluate<Value>(expression: string): Promise<Value> {
    const { result, exceptionDetails } = (await this.#call("Runtime.evaluate", {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })) as { result: { value: Value }; exceptionDetails?: { exception?: { description?: string }; text: string } };
    if (exceptionDetails !== undefined)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /** Waits until an expression is true. @throws Error with the text of the page */
  async until(expression: string, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!(await this.evaluate<boolean>(`Boolean(${expression})`))) {
      if (performance.now() > deadline)
        throw new Error(
          `Not within ${timeoutMs} ms: ${expression}\n${await this.evaluate("document.body.innerText")}\n${this.complaints.join("\n")}`,
        );
      await sleep(30);
    }
  }

  text(selector: string): Promise<string> {
    return this.evaluate(`document.querySelector(${JSON.stringify(selector)}).innerText`);
  }

  /** Moves the mouse to the middle of the element and clicks there. */
  async click(selector: string): Promise<void> {
    const place = await this.evaluate<{ x: number; y: number }>(
      `(() => {
        const element = document.querySelector(${JSON.stringify(selector)});
        element.scrollIntoView({ block: "center", behavior: "instant" });
        const { x, y, width, height } = element.getBoundingClientRect();
        return { x: x + width / 2, y: y + height / 2 };
      })()`,
    );
    for (const type of ["mousePressed", "mouseReleased"])
      await this.#call("Input.dispatchMouseEvent", { type, ...place, button: "left", clickCount: 1 });
  }

  /** `Tab`, `Enter` or ` `. */
  async press(key: string): Promise<void> {
    const text = { Enter: "\r", " ": " " }[key];
    const code = { " ": "Space" }[key] ?? key;
    const windowsVirtualKeyCode = { Tab: 9, Enter: 13, " ": 32 }[key] ?? 0;
    const event = { key, code, windowsVirtualKeyCode, ...(text === undefined ? {} : { text }) };
    await this.#call("Input.dispatchKeyEvent", { type: "keyDown", ...event });
    await this.#call("Input.dispatchKeyEvent", { type: "keyUp", ...event });
  }

  async resize(width: number, height: number): Promise<void> {
    await this.#call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  }

  async preferColors(scheme: "light" | "dark"): Promise<void> {
    await this.#call("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  }

  async screenshot(path: string): Promise<void> {
    const { data } = (await this.#call("Page.captureScreenshot", { format: "png" })) as unknown as { data: string };
    writeFileSync(path, Buffer.from(data, "base64"));
  }

  /** What a screen reader gets: role and name of each node that is not ignored. */
  async accessibleNames(): Promise<readonly string[]> {
    type Node = { ignored: boolean; role?: { value: string }; name?: { value: string } };
    const { nodes } = (await this.#call("Accessibility.getFullAXTree")) as unknown as { nodes: readonly Node[] };
    return nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => `${role?.value}: ${name?.value ?? ""}`);
  }

  async close(): Promise<void> {
    const { pid, exitCode } = this.#process;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    if (exitCode === null && pid !== undefined) {
      if (this.#socket?.readyState === WebSocket.OPEN) await Promise.race([this.#call("Browser.close"), sleep(5_000)]);
      await Promise.race([ended, sleep(5_000)]);
      endGroup(pid);
    }
    this.#socket?.terminate();
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** Where it listens for the protocol, which it says on standard error. */
  #endpoint(): Promise<string> {
    return new Promise((resolve, reject) => {
      let said = "";
      const timer = setTimeout(() => reject(new Error(`Chromium does not start:\n${said}`)), startTimeoutMs);
      this.#process.once("exit", () => reject(new Error(`Chromium has ended:\n${said}`)));
      this.#process.stderr?.on("data", (chunk: Buffer) => {
        said += String(chunk);
        const found = /DevTools listening on (ws:\S+)/.exec(said);
        if (found === null) return;
        clearTimeout(timer);
        resolve(found[1]!);
      });
    });
  }

  async #connect(endpoint: string): Promise<void> {
    const socket = new WebSocket(endpoint, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    this.#socket = socket;
    socket.on("message", (data) => this.#receive(JSON.parse(String(data)) as Message));
    const { targetId } = (await this.#call("Target.createTarget", { url: "about:blank" })) as unknown as {
      targetId: string;
    };
    const { sessionId } = (await this.#call("Target.attachToTarget", { targetId, flatten: true })) as unknown as {
      sessionId: string;
    };
    this.#session = sessionId;
    for (const domain of ["Page", "Runtime", "Network", "Log"]) await this.#call(`${domain}.enable`);
  }

  #receive({ id, method, params, result, error }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.({ ...(result && { result }), ...(error && { error }) });
    const facts = params as unknown as {
      request?: { url: string };
      entry?: { text: string };
      exceptionDetails?: { text: string; exception?: { description?: string } };
    };
    if (method === "Network.requestWillBeSent") this.requests.push(facts.request!.url);
    if (method === "Log.entryAdded") this.complaints.push(facts.entry!.text);
    if (method === "Runtime.exceptionThrown")
      this.complaints.push(facts.exceptionDetails!.exception?.description ?? facts.exceptionDetails!.text);
  }

  #call(method: string, params: object = {}): Promise<object> {
    const id = (this.#lastId += 1);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        this.#waiting.delete(id);
        if (error === undefined) resolve(result ?? {});
        else reject(new Error(`${method}: ${error.message}`));
      });
      this.#socket!.send(JSON.stringify({ id, method, params, ...(this.#session && { sessionId: this.#session }) }));
    });
  }
}
