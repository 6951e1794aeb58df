/**
 * LISTEN: one connection per database for all listeners, opened again when it is lost.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { DbConfig } from "../../../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { failure } from "../failure.js"
import type { PgConnection } from "./connection.js"

/**
 * How often a connection that listens was lost and made again. Notifications sent meanwhile did not arrive.
 * Tagged with the database's name.
 *
 * @since 0.1.0
 * @category metrics
 */
export const reconnects = Metric.counter("dblive.listen.reconnects", {
  description: "Connections that listen, made again after a loss",
  incremental: true
})

/**
 * A quiet connection is asked whether it lives: a dropped one says nothing by itself. Not less often than this, and more
 * often where `keepalive` is shorter than both together, so that a loss is noticed within it. In milliseconds.
 */
const longestPause = 30_000
const longestAnswer = 10_000
/** How long a connection may take to close, or to answer what an interrupted listener has asked. */
const closeLimit = Duration.seconds(1)

/** PostgreSQL cuts longer names without an error, and the notifications would have another name. */
const longestName = 63

const backOff = Schedule.jittered(
  Schedule.union(Schedule.exponential(Duration.millis(100), 2), Schedule.spaced(Duration.seconds(30)))
)

/** A connection that listens, and why it ended: `undefined` when it is not needed any more. */
interface Link {
  readonly connection: PgConnection
  readonly ended: Deferred.Deferred<ConnectionError | undefined>
}

/** Who is told what arrives on a channel. */
export interface Receiver {
  readonly receive: (payload: string, processId: number) => void
  /** The layer of the database was closed: nothing more arrives. */
  readonly fail: (error: ConnectionError) => void
}

export interface Listener {
  /**
   * Tells a receiver what is sent to a channel from now on, until the scope is closed. The server has confirmed it when it succeeds.
   * When the layer of the database is closed, the receiver is told a `ConnectionError` of reason `Closed`.
   */
  readonly subscribe: (channel: string, receiver: Receiver) => Effect.Effect<void, DbError, Scope.Scope>
}

/** Sends, and gives what is answered. */
const send = (connection: PgConnection, sql: string): Deferred.Deferred<void, DbError> => {
  const answer = Deferred.unsafeMake<void, DbError>(FiberId.none)
  const unusable = connection.unusable(sql)
  if (unusable === undefined) {
    connection.run(
      sql,
      (error) => Deferred.unsafeDone(answer, error === undefined ? Effect.void : Effect.fail(error))
    )
  } else {
    Deferred.unsafeDone(answer, Effect.fail(unusable))
  }
  return answer
}

const close = (connection: PgConnection): Effect.Effect<void> =>
  Effect.async<void>((resume) => connection.close(() => resume(Effect.void))).pipe(
    Effect.interruptible,
    Effect.timeoutOption(closeLimit),
    Effect.ensuring(Effect.sync(() => connection.destroy()))
  )

const quote = (channel: string): string => `"${channel.replaceAll("\"", "\"\"")}"`

/** The one connection that listens, for all channels, as long as there is one. */
class SharedListener implements Listener {
  private readonly askEvery: number
  private readonly answerLimit: number
  private readonly channels = new Map<string, Set<Receiver>>()
  private readonly closed = Deferred.unsafeMake<never, ConnectionError>(FiberId.none)
  private readonly lock = Effect.unsafeMakeSemaphore(1)
  private readonly isUp = Effect.unsafeMakeLatch(false)
  private link: Link | undefined = undefined

  constructor(
    private readonly database: string,
    private readonly open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>,
    keepalive: number
  ) {
    this.askEvery = keepalive > 0 ? Math.min(longestPause, keepalive * 0.75) : longestPause
    this.answerLimit = keepalive > 0 ? Math.min(longestAnswer, keepalive * 0.25) : longestAnswer
  }

  subscribe(channel: string, receiver: Receiver): Effect.Effect<void, DbError, Scope.Scope> {
    return Effect.suspend((): Effect.Effect<void, DbError, Scope.Scope> => {
      if (Buffer.byteLength(channel) > longestName || channel === "" || channel.includes("\0")) {
        return Effect.fail(failure({
          _tag: "QueryError",
          reason: "Parameter",
          what: `the name of a channel has 1 to ${longestName} bytes`,
          outcome: "NotSent",
          database: this.database,
          statement: undefined
        }))
      }
      return Effect.zipRight(
        Effect.addFinalizer(() => this.remove(channel, receiver)),
        Effect.raceFirst(Deferred.await(this.closed), this.add(channel, receiver))
      )
    })
  }

  private add(channel: string, receiver: Receiver): Effect.Effect<void, DbError> {
    return this.lock.withPermits(1)(Effect.suspend(() => {
      const others = this.channels.get(channel)
      // Heard of before the server is asked: nothing that arrives right after its answer is missed.
      if (others !== undefined) {
        others.add(receiver)
        return this.connect
      }
      this.channels.set(channel, new Set([receiver]))
      return this.link === undefined ? this.connect : this.run(this.link.connection, `LISTEN ${quote(channel)}`)
    }))
  }

  private remove(channel: string, receiver: Receiver): Effect.Effect<void> {
    return this.lock.withPermits(1)(Effect.suspend(() => {
      const all = this.channels.get(channel)
      if (all === undefined || !all.delete(receiver) || all.size > 0) return Effect.void
      this.channels.delete(channel)
      if (this.channels.size === 0) return this.disconnect
      // A failure means that the connection is lost: then nothing listens on it.
      return this.link === undefined
        ? Effect.void
        : Effect.ignore(this.run(this.link.connection, `UNLISTEN ${quote(channel)}`))
    }))
  }

  /** Runs with the lock. After it the connection listens to every channel that is asked for, or none is needed. */
  private readonly connect: Effect.Effect<void, DbError> = Effect.suspend(() =>
    this.channels.size === 0 || this.link !== undefined ?
      Effect.void :
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(this.open), (connection) => {
          const ended = this.observe(connection)
          const sql = Array.from(this.channels.keys(), (channel) => `LISTEN ${quote(channel)}`).join("; ")
          return Effect.zipRight(
            // None listens on it yet: where this is interrupted, it is given up.
            restore(this.answered(connection, Effect.suspend(() => Deferred.await(send(connection, sql))))),
            Effect.sync(() => {
              this.link = { connection, ended }
              this.isUp.unsafeOpen()
            })
          )
        })
      )
  )

  /** What the connection tells goes to the receivers; how it ends is answered. */
  private observe(connection: PgConnection): Link["ended"] {
    const ended = Deferred.unsafeMake<ConnectionError | undefined>(FiberId.none)
    connection.onNotification = (channel, payload, processId) => {
      for (const receiver of this.channels.get(channel) ?? []) receiver.receive(payload, processId)
    }
    connection.onLost = (error) => {
      if (this.link?.connection === connection) {
        this.link = undefined
        this.isUp.unsafeClose()
      }
      // One to a server that is not the primary any more still works.
      connection.destroy()
      Deferred.unsafeDone(ended, Effect.succeed(error))
    }
    return ended
  }

  private readonly disconnect: Effect.Effect<void> = Effect.suspend(() => {
    const current = this.link
    this.link = undefined
    this.isUp.unsafeClose()
    if (current === undefined) return Effect.void
    Deferred.unsafeDone(current.ended, Effect.succeed(undefined))
    return close(current.connection)
  })

  /**
   * An exchange that is not waited for to its end leaves a connection that nothing can be sent on. The others who listen on it
   * would miss what is notified until there is another one: so an interrupt waits for the end, too, but not for long.
   */
  private run(connection: PgConnection, sql: string): Effect.Effect<void, DbError> {
    return Effect.suspend(() => {
      // Sent where an interrupt is seen to. Widened by hand: only what runs sets it.
      let answer = undefined as Deferred.Deferred<void, DbError> | undefined
      const exchange = Effect.suspend(() => Deferred.await(answer = send(connection, sql)))
      const settled = Effect.suspend(() =>
        answer === undefined
          ? Effect.void
          : Effect.raceFirst(Deferred.await(answer), Deferred.await(this.closed)).pipe(
            Effect.interruptible,
            Effect.timeoutFail({ duration: closeLimit, onTimeout: () => this.unanswered() }),
            Effect.catchAll(() => Effect.sync(() => this.drop(connection)))
          )
      )
      return this.answered(connection, exchange, settled)
    })
  }

  /** Gives the connection up when it does not answer in time. */
  private answered(
    connection: PgConnection,
    exchange: Effect.Effect<void, DbError>,
    whenInterrupted = Effect.sync(() => this.drop(connection))
  ): Effect.Effect<void, DbError> {
    return exchange.pipe(
      Effect.timeoutFail({ duration: this.answerLimit, onTimeout: () => this.unanswered() }),
      Effect.onError((cause) =>
        Cause.isInterruptedOnly(cause) ? whenInterrupted : Effect.sync(() => this.drop(connection))
      )
    )
  }

  private unanswered(): ConnectionError {
    return failure({
      _tag: "ConnectionError",
      reason: "Lost",
      what: "the connection that listens does not answer",
      outcome: "NotSent",
      database: this.database
    })
  }

  /** Gives a connection up, as if it had been lost. */
  private drop(connection: PgConnection): void {
    const onLost = connection.onLost
    connection.destroy()
    onLost?.(this.unanswered())
  }

  /** Pings, until the connection does not answer any more and is given up. */
  private ask({ connection }: Link): Effect.Effect<never> {
    return this.answered(
      connection,
      Effect.async<void, DbError>((resume) =>
        connection.ping((error) => resume(error === undefined ? Effect.void : Effect.fail(error)))
      )
    ).pipe(
      this.lock.withPermits(1),
      Effect.delay(this.askEvery),
      Effect.forever,
      Effect.catchAll(() => Effect.never)
    )
  }

  /** Waits for the loss of the connection, and connects again. */
  readonly watch: Effect.Effect<void, DbError> = Effect.gen(this, function*() {
    yield* this.isUp.await
    if (this.link === undefined) return
    const lost = yield* Effect.raceFirst(Deferred.await(this.link.ended), this.ask(this.link))
    if (lost === undefined) return
    yield* Effect.logWarning(
      `The connection that listens on database "${this.database}" was lost; listening again. ` +
        "Notifications sent meanwhile do not arrive."
    ).pipe(Effect.annotateLogs({ reason: lost.reason, channels: Array.from(this.channels.keys()).join(", ") }))
    yield* Effect.retry(this.lock.withPermits(1)(this.connect), backOff)
    yield* Metric.update(Metric.tagged(reconnects, "db.client.connection.pool.name", this.database), 1)
  })

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const error = failure({
      _tag: "ConnectionError",
      reason: "Closed",
      what: "its layer was closed, and with it the connection that listens",
      outcome: "NotSent",
      database: this.database
    })
    // First: what waits for a connection while it holds the lock is let go by it.
    Deferred.unsafeDone(this.closed, Effect.fail(error))
    return this.lock.withPermits(1)(Effect.suspend(() => {
      for (const all of this.channels.values()) {
        for (const receiver of all) receiver.fail(error)
      }
      this.channels.clear()
      return this.disconnect
    }))
  })
}

/** Behind a pooler in transaction mode no connection is ours for long enough. */
const refusing = (database: string): Listener => ({
  subscribe: () =>
    Effect.fail(failure({
      _tag: "ConnectionError",
      reason: "Unsupported",
      what: "LISTEN needs a session of its own, and prepare: false says that a pooler in transaction mode has none",
      advice:
        "listen on a database that is opened by a direct URL, or one of a pooler in session mode, without prepare: false",
      outcome: "NotSent",
      database
    }))
})

/**
 * Makes the listener of a database. It opens a connection for the first receiver and closes it when the last one has gone. One that
 * went silent is noticed within `pool.keepalive`; where that is 0, within 40 seconds.
 */
export const make = (
  { name, pool, prepare }: DbConfig,
  open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>
): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.suspend(() => {
    if (!prepare) {
      return Effect.succeed(refusing(name))
    }
    const listener = new SharedListener(name, open, pool.keepalive)
    return Effect.addFinalizer(() => listener.close).pipe(
      Effect.zipRight(Effect.forkScoped(Effect.interruptible(Effect.forever(listener.watch)))),
      Effect.as(listener)
    )
  })
