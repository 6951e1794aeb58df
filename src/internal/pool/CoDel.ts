/**
 * Sheds load when waits do not go down: after CoDel, as Elixir's db_connection does it
 * (`DBConnection.ConnectionPool`). While even the shortest wait of an interval was above the target, waiters that have
 * waited more than twice the target are refused, so that the rest is served in time.
 */
export class CoDel {
  private until = 0
  private shortest = Infinity
  private isSlow = false

  /** Both in milliseconds. */
  constructor(private readonly settings: { readonly target: number; readonly interval: number }) {}

  /** Why a waiter that waited so long is refused; `undefined` for one that is served. */
  judge(waited: number, now: number): string | undefined {
    const { interval, target } = this.settings
    if (now >= this.until) {
      this.isSlow = this.shortest !== Infinity && this.shortest > target
      this.shortest = Infinity
      this.until = now + interval
    }
    this.shortest = Math.min(this.shortest, waited)
    return this.isSlow && waited > target * 2
      ? `waits for a connection have been above ${target} ms for ${interval} ms; this one (${waited} ms) was shed`
      : undefined
  }
}
