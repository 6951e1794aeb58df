/** The databases of a registry: each is opened by its first user, shared by all, and closed when unused. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type * as Scope from "effect/Scope"
import type * as DbConfig from "../../DbConfig.js"
import type { ConnectionError, DbError } from "../../DbError.js"
import { closed as ownerClosed } from "../error/engine.js"

/** A database that is open, or being opened. It lives in a fiber of its own, and is closed by its interruption. */
interface Opening<A> {
  readonly result: Deferred.Deferred<A, DbError>
  /** The database, once it is open. */
  opened: A | undefined
  fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  users: number
  /** Closes the database when it was not used for `idleTimeToLive`. */
  idleTimer: Fiber.RuntimeFiber<unknown, unknown> | undefined
}

interface Entry<A> {
  readonly config: DbConfig.DbConfig
  /** Not there before the first use, after a failed opening, and after a time without use. */
  opening: Opening<A> | undefined
}

const closed = (name: string): ConnectionError =>
  ownerClosed(name, "the registry of databases is closed", "do not use it after its layer is closed")

/** Names that variables spell alike. */
const spelling = (name: string): string => name.replace(/[^A-Za-z\d]+/g, "").toUpperCase()

/**
 * Opens, shares and closes. Not by `RcMap`: that one remembers a failed opening for as long as it is held, opens in the
 * context of the first user (with its span, deadline and transaction), answers by interruption when it is closed, and
 * closes one after the other.
 */
export class SharedDatabases<A> {
  private readonly entries: ReadonlyMap<string, Entry<A>>
  private readonly spellings: ReadonlyMap<string, string>
  private readonly alive = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
  private isClosed = false

  constructor(
    configs: ReadonlyArray<DbConfig.DbConfig>,
    private readonly timeToLive: number,
    private readonly fork: (effect: Effect.Effect<unknown, unknown>) => Fiber.RuntimeFiber<unknown, unknown>,
    private readonly open: (config: DbConfig.DbConfig) => Effect.Effect<A, DbError, Scope.Scope>
  ) {
    this.entries = new Map(configs.map((config): [string, Entry<A>] => [config.name, { config, opening: undefined }]))
    this.spellings = new Map([...this.names].reverse().map((name) => [spelling(name), name]))
  }

  get names(): ReadonlyArray<string> {
    return [...this.entries.keys()]
  }

  /** Of a name that `find` has answered. */
  configOf(name: string): DbConfig.DbConfig {
    return this.entries.get(name)!.config
  }

  /** The name as it is configured, of one that may be spelled as variables spell it. */
  find(name: string): string | undefined {
    return this.entries.has(name) ? name : this.spellings.get(spelling(name))
  }

  /** The database of a name, where it is open now. That is no use of it. */
  peek(name: string): A | undefined {
    return this.entries.get(name)?.opening?.opened
  }

  /** The database of a name that `find` has answered, until the scope closes. */
  acquire(name: string): Effect.Effect<A, DbError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.suspend((): Effect.Effect<A, DbError, Scope.Scope> => {
        if (this.isClosed) {
          return Effect.fail(closed(name))
        }
        const entry = this.entries.get(name)!
        // Without a pause between the look and the count, so that what is found cannot be closed as unused meanwhile.
        const opening = entry.opening ?? this.start(entry)
        opening.users++
        opening.idleTimer?.unsafeInterruptAsFork(FiberId.none)
        opening.idleTimer = undefined
        return Effect.zipRight(
          Effect.addFinalizer(() => Effect.sync(() => this.release(entry, opening))),
          // Interrupted, the user leaves; the opening goes on for the others, or the next one.
          restore(Deferred.await(opening.result))
        )
      })
    )
  }

  private start(entry: Entry<A>): Opening<A> {
    const result = Deferred.unsafeMake<A, DbError>(FiberId.none)
    const opening: Opening<A> = { result, opened: undefined, users: 0, idleTimer: undefined, fiber: undefined }
    // First: what fails at once has to be forgotten, too.
    entry.opening = opening
    const opened = Effect.onExit(this.open(entry.config), (exit) => {
      if (Exit.isSuccess(exit)) {
        opening.opened = exit.value
        return Deferred.succeed(result, exit.value)
      }
      // Before the waiters hear of it: one that tries again must not find this opening.
      if (entry.opening === opening) {
        entry.opening = undefined
      }
      // Interrupted while it is waited for, it was by the end of the registry.
      return this.isClosed ? Deferred.fail(result, closed(entry.config.name)) : Deferred.failCause(result, exit.cause)
    })
    const fiber = this.fork(Effect.exit(Effect.scoped(Effect.zipRight(opened, Effect.never))))
    opening.fiber = fiber
    this.alive.add(fiber)
    fiber.addObserver(() => this.alive.delete(fiber))
    return opening
  }

  private release(entry: Entry<A>, opening: Opening<A>): void {
    opening.users--
    if (opening.users > 0 || this.isClosed || entry.opening !== opening || this.timeToLive === Infinity) {
      return
    }
    const close = Effect.zipRight(
      Effect.sleep(this.timeToLive),
      Effect.sync(() => {
        // It may have been acquired in the moment in which the time was up.
        if (opening.users === 0 && entry.opening === opening) {
          entry.opening = undefined
          opening.fiber?.unsafeInterruptAsFork(FiberId.none)
        }
      })
    )
    opening.idleTimer = this.fork(close)
  }

  /** All at once, those included that are being closed as unused. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.isClosed = true
    const timers = [...this.entries.values()].flatMap(({ opening }) => opening?.idleTimer ?? [])
    return Effect.asVoid(Fiber.interruptAll([...timers, ...this.alive]))
  })
}
