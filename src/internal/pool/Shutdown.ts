/**
 * The end of a pool: new waiters are refused, connections in use are waited for, and what does not end in time is cut.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { settleLimit } from "../request/Deadline.js"

export class Shutdown {
  private state: "open" | "draining" | "closed" = "open"
  private onDrained: (() => void) | undefined = undefined

  constructor(
    private readonly pool: {
      /** Refuses the waiters, and closes the idle connections. */
      readonly refuse: () => void
      /** Whether nothing is open any more, or being opened. */
      readonly isDrained: () => boolean
      /** Ends the borrowers: `stop` what they run on the server, or `drop` their connections at once. */
      readonly cut: (limit: number, how: "stop" | "drop") => void
    }
  ) {}

  get isOpen(): boolean {
    return this.state === "open"
  }

  /** To be called when something has ended. */
  check(): void {
    if (this.state !== "open" && this.pool.isDrained()) {
      const drained = this.onDrained
      this.onDrained = undefined
      drained?.()
    }
  }

  /** Waits up to the limit, in milliseconds. True when no borrower was cut. */
  run(limit: number): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (this.state === "closed") {
        return Effect.succeed(true)
      }
      this.state = "draining"
      this.pool.refuse()
      const drained = Effect.async<void>((resume) => {
        this.onDrained = () => resume(Effect.void)
        this.check()
      })
      // Connections in use are waited for; then those still in use are cut and only their sockets are waited for.
      // Finalizers run where interruption is masked, and a wait that cannot be interrupted cannot be limited.
      const wait = Effect.interruptible(drained)
      return wait.pipe(
        Effect.timeoutOption(limit),
        Effect.flatMap((done) => {
          const isClean = Option.isSome(done)
          if (!isClean) {
            this.pool.cut(limit, "stop")
          }
          return Effect.as(Effect.timeoutOption(wait, settleLimit), isClean)
        }),
        Effect.ensuring(Effect.sync(() => {
          this.state = "closed"
          this.pool.cut(limit, "drop")
        }))
      )
    })
  }
}
