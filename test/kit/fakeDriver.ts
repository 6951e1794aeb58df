/**
 * A driver without a database: each step of its connections can be told to fail, to wait or never to answer.
 *
 * - `makeFakeDriver(options?)`: `Effect<FakeDriver>`; uses the `Clock` of the fiber that makes it (so `TestClock`).
 *   `FakeDriver`: `driver` (give it to a pool or an engine), `control`, `log`.
 * - `control.open | ping | execute | fetch | reset | cancel | close`: a `Script` each. `script.next(step, ...)` scripts the next
 *   calls; `script.always(step)` or `script.always((call) => step)` all others. A `Step` is `"ok"`, `"never"`, `{ fail: error }`,
 *   `{ delay: duration, then?: step }` or `{ after: deferred, then?: step }` (any effect will do).
 * - `control.rows = (request, connection) => rows`; `control.connections` (live `FakeConnection`s), `control.loseAll()`,
 *   `control.lose(connection)`; `control.count`: opening, open, most, opened, closed; `control.executed()`: all texts.
 * - `control.violations`: uses that break the contract of `Connection` (two statements at once, use after close,
 *   ...). Assert that it is empty at the end of each test.
 * - `fakeErrors`: ready-made errors (`refused`, `lost`, `serialization`, `deadlock`, `unique`, `commitUnknown`).
 */
import { makeCompilerSqlite } from "@effect/sql/Statement"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type { TimeoutError } from "../../src/DbError.js"
import { ConnectionError, type DbError, QueryError } from "../../src/DbError.js"
import type {
  Capabilities,
  Connection,
  Cursor,
  Done,
  Driver,
  Request,
  ResetPolicy,
  TransactionStatus
} from "../../src/driver/Driver.js"
import { capabilities, transaction } from "../../src/internal/test/mock.js"
import { makePlayer, MutableScript, type Script, type Step } from "./scriptedCall.js"

export { fakeErrors } from "./fakeErrors.js"
export type { Script, Step } from "./scriptedCall.js"

/** One thing that happened, in order. */
export interface Event {
  readonly connection: number
  readonly what:
    | "open"
    | "execute"
    | "cursor"
    | "alone"
    | "fetch"
    | "ping"
    | "reset"
    | "cancel"
    | "close"
    | "destroy"
    | "lost"
  /** The statement's text, or the reset's policy. */
  readonly text: string
}

/** A connection of the fake driver, with what a test may look at. */
export interface FakeConnection extends Connection {
  readonly closed: boolean
  /** The statement, ping, reset or fetch that has no answer yet. */
  readonly running: string | undefined
}

/** Figures over the life of the driver. */
export interface Counters {
  /** Being opened now. */
  readonly opening: number
  /** Open now: neither closed nor destroyed (a lost one counts until it is destroyed or closed). */
  readonly open: number
  /** The most that were open or being opened at once. */
  readonly most: number
  /** Openings that succeeded; `control.open.calls` counts all. */
  readonly opened: number
  readonly closed: number
}

/** What a test tells the driver, and asks it. */
export interface Control {
  readonly open: Script<{ readonly id: number }, ConnectionError | TimeoutError>
  readonly ping: Script<FakeConnection>
  readonly execute: Script<{ readonly text: string; readonly request: Request; readonly connection: FakeConnection }>
  readonly fetch: Script<FakeConnection>
  readonly reset: Script<{ readonly policy: ResetPolicy; readonly connection: FakeConnection }>
  readonly cancel: Script<FakeConnection>
  readonly close: Script<FakeConnection>
  /** What a statement answers in mode `rows`. Defaults to no rows. */
  rows: (request: Request, connection: FakeConnection) => ReadonlyArray<unknown>
  readonly connections: ReadonlyArray<FakeConnection>
  readonly count: Counters
  readonly violations: ReadonlyArray<string>
  readonly lose: (connection: FakeConnection) => void
  readonly loseAll: () => void
  /** The texts of all statements so far, `BEGIN` and `COMMIT` among them. */
  readonly executed: () => ReadonlyArray<string>
}

/** A driver, and the strings to pull it by. */
export interface FakeDriver {
  readonly driver: Driver
  readonly control: Control
  readonly log: ReadonlyArray<Event>
}

/** How the driver is made. */
export interface FakeOptions {
  /** Requests end before `execute` returns, as SQLite's do. Defaults to false: they end in a microtask. */
  readonly synchronous?: boolean | undefined
  readonly capabilities?: Partial<Capabilities> | undefined
  readonly maxConnections?: number | undefined
  /** Whether other statements may run between the fetches of a cursor. Defaults to true. */
  readonly interleaves?: boolean | undefined
  /** Name of the database in errors. Defaults to `default`. */
  readonly database?: string | undefined
  /** Further members of the driver (`transactionId`, `commitStatus`, `services`, ...). */
  readonly overrides?: Partial<Driver> | undefined
}

/** Makes a driver whose connections are pretended. */
export const makeFakeDriver = (options: FakeOptions = {}): Effect.Effect<FakeDriver> =>
  Effect.map(Effect.runtime<never>(), (runtime) => {
    const fork = Runtime.runFork(runtime)
    const database = options.database ?? "default"
    const synchronous = options.synchronous ?? false
    const scripts = {
      open: new MutableScript<{ readonly id: number }, ConnectionError | TimeoutError>(),
      ping: new MutableScript<FakeConnection, DbError>(),
      execute: new MutableScript<
        { readonly text: string; readonly request: Request; readonly connection: FakeConnection },
        DbError
      >(),
      fetch: new MutableScript<FakeConnection, DbError>(),
      reset: new MutableScript<{ readonly policy: ResetPolicy; readonly connection: FakeConnection }, DbError>(),
      cancel: new MutableScript<FakeConnection, DbError>(),
      close: new MutableScript<FakeConnection, DbError>()
    }
    const log: Array<Event> = []
    const live = new Set<FakeConnectionImpl>()
    const violations: Array<string> = []
    const count = { opening: 0, open: 0, most: 0, opened: 0, closed: 0 }
    const counted = () => count.most = Math.max(count.most, count.open + count.opening)

    const lostError = (outcome: "NotSent" | "Unknown") =>
      new ConnectionError({ what: `connection lost (database "${database}")`, reason: "Lost", outcome, database })

    const play = makePlayer(fork, synchronous)

    class FakeConnectionImpl implements FakeConnection {
      readonly serverVersion = "fake 1.0"
      transaction: TransactionStatus = "idle"
      dirty = false
      holds = false
      lost = false
      closed = false
      private isClosedGracefully = false
      running: string | undefined = undefined
      onLost: ((error: ConnectionError) => void) | undefined = undefined
      /** Ends the running request with an error, ahead of its script. */
      private abort: ((error: DbError) => void) | undefined = undefined
      private current: Request | undefined = undefined

      constructor(readonly id: number) {}

      private event(what: Event["what"], text = ""): void {
        log.push({ connection: this.id, what, text })
      }

      private violation(what: string): void {
        violations.push(`connection ${this.id}: ${what}`)
      }

      /** One request at a time: plays its step, then gives its answer or its error. */
      private request<A>(name: string, step: () => Step, done: Done<A>, answer: () => A, failed?: () => void): void {
        // After `destroy` every request fails, as the contract says. After a graceful close there must be none.
        if (this.isClosedGracefully) this.violation(`${name} after it was closed`)
        if (this.running !== undefined) this.violation(`${name} while "${this.running}" was running`)
        if (this.closed || this.lost) {
          const error = lostError("NotSent")
          // A fake never gives a value beside an error; the contract leaves it unread.
          return synchronous ? done(error, undefined as A) : queueMicrotask(() => done(error, undefined as A))
        }
        this.running = name
        const finish = (error: DbError | undefined) => {
          this.running = undefined
          this.abort = undefined
          this.current = undefined
          if (error === undefined) {
            const value = answer()
            return done(undefined, value)
          }
          failed?.()
          const broken = error._tag === "ConnectionError" && !this.lost
          if (broken) {
            this.lost = true
            this.event("lost")
          }
          done(error, undefined as A)
          if (broken && error._tag === "ConnectionError") this.onLost?.(error)
        }
        let stop = () => {}
        let aborted = false
        this.abort = (error) => {
          aborted = true
          stop()
          finish(error)
        }
        stop = play(step(), (error) => {
          if (!aborted) finish(error)
        })
      }

      /** The words that move a transaction, as a server would. */
      private apply(text: string): DbError | undefined {
        const word = /^\s*([a-z]+)(?:\s+(to|prepared))?/i.exec(text)
        const verb = word?.[1]?.toUpperCase() ?? ""
        const to = word?.[2] !== undefined
        if (this.transaction === "failed" && verb !== "ROLLBACK" && verb !== "COMMIT") {
          return new QueryError({
            what: "current transaction is aborted",
            reason: "TransactionAborted",
            outcome: "RolledBack",
            database,
            code: "25P02"
          })
        }
        switch (verb) {
          case "BEGIN":
          case "START":
            if (this.transaction !== "idle") this.violation("BEGIN within a transaction")
            this.transaction = "open"
            return undefined
          case "COMMIT": {
            const failed = this.transaction === "failed"
            if (this.transaction === "idle") this.violation("COMMIT without a transaction")
            this.transaction = "idle"
            return failed
              ? new QueryError({
                what: "COMMIT was answered with ROLLBACK",
                reason: "TransactionAborted",
                outcome: "RolledBack",
                database
              })
              : undefined
          }
          case "ROLLBACK":
            if (to) {
              if (this.transaction === "idle") this.violation("ROLLBACK TO without a transaction")
              else this.transaction = "open"
            } else {
              this.transaction = "idle"
            }
            return undefined
          case "SAVEPOINT":
          case "RELEASE":
            if (this.transaction !== "open") this.violation(`${verb} without a transaction`)
            return undefined
          case "LISTEN":
            this.dirty = true
            this.holds = true
            return undefined
          case "SET":
          case "CREATE":
            this.dirty = true
            return undefined
          default:
            return undefined
        }
      }

      private statement<A>(what: "execute" | "cursor", request: Request, done: Done<A>, answer: () => A): void {
        const one = <B>(text: string, next: Done<B>, value: () => B) => {
          this.event(what, text)
          const step = () => scripts.execute.take({ text, request, connection: this })
          let refused: DbError | undefined
          this.request<B | undefined>(
            text,
            step,
            (error, result) => {
              // Without an error the value is the answer, or it was refused.
              if (error !== undefined || refused === undefined) next(error, result as B)
              else next(refused, undefined as B)
            },
            () => {
              refused = this.apply(text)
              if (refused !== undefined) {
                if (this.transaction === "open") this.transaction = "failed"
                return undefined
              }
              return value()
            },
            () => {
              if (/^\s*(commit|rollback)\s*$/i.test(text)) this.transaction = "idle"
              else if (this.transaction === "open") this.transaction = "failed"
            }
          )
          this.current = request
        }
        if (request.begin === undefined) return one(request.text, done, answer)
        one(request.begin, (error) => {
          if (error !== undefined) done(error, undefined as A)
          else one(request.text, done, answer)
        }, () => undefined)
      }

      readonly execute = (request: Request, done: Done<unknown>): void =>
        this.statement(
          "execute",
          request,
          done,
          () => {
            const rows = control.rows(request, this)
            switch (request.mode) {
              case "rows":
              case "sets":
                return rows
              case "values":
                return rows.map((row) => typeof row === "object" && row !== null ? Object.values(row) : [row])
              case "result":
                return { rows, rowsAffected: 0, lastInsertId: undefined }
              case "raw":
                return { rows }
            }
          }
        )

      readonly openCursor = (request: Request, done: Done<Cursor>): void =>
        this.statement("cursor", request, done, () => {
          const rows = control.rows(request, this)
          let at = 0
          let closed = false
          return {
            interleaves: options.interleaves ?? true,
            alone: () => this.event("alone"),
            fetch: (size, fetched) => {
              if (closed) this.violation("fetch from a closed cursor")
              this.event("fetch", String(size))
              this.request(`fetch ${size}`, () => scripts.fetch.take(this), fetched, () => {
                const part = rows.slice(at, at + size)
                at += size
                closed = at >= rows.length
                return { rows: part, done: closed }
              }, () => {
                closed = true
              })
            },
            close: (ended) => {
              closed = true
              if (synchronous) ended(undefined, undefined)
              else queueMicrotask(() => ended(undefined, undefined))
            }
          }
        })

      readonly ping = (done: Done<void>): void => {
        this.event("ping")
        this.request("ping", () => scripts.ping.take(this), done, () => {})
      }

      readonly reset = (policy: ResetPolicy, done: Done<void>): void => {
        this.event("reset", policy)
        this.request("reset", () => scripts.reset.take({ policy, connection: this }), done, () => {
          this.transaction = "idle"
          this.dirty = false
          this.holds = false
        })
      }

      readonly cancel = (done: Done<void>): void => {
        this.event("cancel")
        const settled = (error: DbError | undefined) => {
          if (error === undefined && this.abort !== undefined) {
            const text = this.current?.text
            if (this.transaction === "open") this.transaction = "failed"
            this.abort(
              new QueryError({
                what: "canceling statement due to user request",
                reason: "Unknown",
                outcome: "RolledBack",
                database,
                code: "57014",
                ...(text === undefined ? {} : { statement: text })
              })
            )
          }
          done(error, undefined)
        }
        play(scripts.cancel.take(this), settled)
      }

      readonly close = (done: Done<void>): void => {
        if (this.closed) this.violation("close after it was closed")
        if (this.running !== undefined) this.violation(`close while "${this.running}" was running`)
        this.isClosedGracefully = true
        this.event("close")
        play(scripts.close.take(this), (error) => {
          this.gone()
          done(error, undefined)
        })
      }

      readonly destroy = (): void => {
        if (this.closed) return
        this.event("destroy")
        this.gone()
        this.abort?.(lostError("Unknown"))
      }

      readonly writes = (text: string): boolean => !/^\s*(select|values|with|explain|show)\b/i.test(text)

      private gone(): void {
        if (this.closed) return
        this.closed = true
        this.lost = true
        live.delete(this)
        count.open--
        count.closed++
      }

      /** The link breaks by itself. */
      breakLink(): void {
        if (this.lost) return
        this.lost = true
        this.event("lost")
        const error = lostError("Unknown")
        this.abort?.(error)
        this.onLost?.(error)
      }
    }

    let lastId = 0
    const open: Effect.Effect<Connection, ConnectionError | TimeoutError> = Effect.uninterruptibleMask((restore) => {
      let opened: FakeConnectionImpl | undefined
      return restore(
        Effect.async<Connection, ConnectionError | TimeoutError>((resume) => {
          const id = ++lastId
          count.opening++
          counted()
          log.push({ connection: id, what: "open", text: "" })
          let over = false
          const stop = play(scripts.open.take({ id }), (error) => {
            over = true
            count.opening--
            if (error !== undefined) return resume(Effect.fail(error))
            opened = new FakeConnectionImpl(id)
            count.open++
            count.opened++
            counted()
            live.add(opened)
            resume(Effect.succeed(opened))
          })
          return Effect.sync(() => {
            stop()
            if (!over) count.opening--
          })
        })
        // The interrupt may come between the opening and its delivery.
      ).pipe(Effect.onInterrupt(() => Effect.sync(() => opened?.destroy())))
    })

    const control: Control = {
      ...scripts,
      rows: () => [],
      get connections() {
        return [...live]
      },
      count,
      violations,
      lose: (connection) => {
        if (connection instanceof FakeConnectionImpl) connection.breakLink()
      },
      loseAll: () => [...live].forEach((connection) => connection.breakLink()),
      executed: () => log.filter(({ what }) => what === "execute" || what === "cursor").map(({ text }) => text)
    }

    const driver: Driver = {
      dialect: "sqlite",
      target: { system: "fake", namespace: "fake", address: undefined, port: undefined, uri: "fake:" },
      capabilities: { ...capabilities, synchronous, ...options.capabilities },
      compiler: makeCompilerSqlite(),
      transformRows: undefined,
      transaction,
      open,
      maxConnections: options.maxConnections,
      transactionId: undefined,
      commitStatus: undefined,
      services: () => Effect.succeed(Context.empty()),
      ...options.overrides
    }

    return { driver, control, log }
  })
