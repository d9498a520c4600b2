/**
 * Work for the end of an event-loop turn: first what calls have to tell their services, then one write per connection
 * that has something to say. Whoever reads or answers in a turn only notes itself here.
 */

export type TurnEndTask = { atTurnEnd(): void };

export class TurnEnd {
  /** Changes with every turn that had work for its end. */
  turn = 0;
  #callbacks: TurnEndTask[] = [];
  #flushes: TurnEndTask[] = [];
  #scheduled = false;

  /** Runs `task` before the connections flush. A task notes itself once; it may note itself again when it runs. */
  addCallback(task: TurnEndTask): void {
    this.#callbacks.push(task);
    this.#schedule();
  }

  addFlush(task: TurnEndTask): void {
    this.#flushes.push(task);
    this.#schedule();
  }

  /** Runs everything noted, now: for a caller that knows that it has answered all it can in this turn. */
  run(): void {
    this.turn++;
    // Callbacks may answer, and so add flushes; a flush may free room and so add callbacks.
    while (this.#callbacks.length > 0 || this.#flushes.length > 0) {
      const tasks = this.#callbacks.length > 0 ? this.#callbacks : this.#flushes;
      if (tasks === this.#callbacks) this.#callbacks = [];
      else this.#flushes = [];
      for (let i = 0; i < tasks.length; i++) tasks[i]!.atTurnEnd();
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
