/**
 * Schedules work for the end of an event-loop turn: first callbacks of calls to their services, then one write per
 * connection with pending output. Code that reads or responds in a turn only registers itself here.
 */

export type FlushTask = { onTickEnd(): void };

export class FlushScheduler {
  /** Increments with every turn that had work at its end. */
  turn = 0;
  #callbacks: FlushTask[] = [];
  #flushes: FlushTask[] = [];
  #scheduled = false;

  /** Runs `task` before the connections flush. A task is registered once; it may register itself again when it runs. */
  addCallback(task: FlushTask): void {
    this.#callbacks.push(task);
    this.#schedule();
  }

  addFlush(task: FlushTask): void {
    this.#flushes.push(task);
    this.#schedule();
  }

  /** Runs everything registered now: for a caller that has completed all its responses of this turn. */
  run(): void {
    this.turn++;
    // Callbacks may respond, and so add flushes; a flush may free memory and so add callbacks.
    while (this.#callbacks.length > 0 || this.#flushes.length > 0) {
      const tasks = this.#callbacks.length > 0 ? this.#callbacks : this.#flushes;
      if (tasks === this.#callbacks) this.#callbacks = [];
      else this.#flushes = [];
      for (let i = 0; i < tasks.length; i++) tasks[i]!.onTickEnd();
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#runScheduled);
  }

  readonly #runScheduled = (): void => {
    this.#scheduled = false;
    this.run();
  };
}
