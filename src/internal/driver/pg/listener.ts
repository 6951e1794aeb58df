/**
 * LISTEN: one connection per database for all listeners, opened again when it is lost.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Mailbox from "effect/Mailbox"
import * as Metric from "effect/Metric"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { failure } from "../Failure.js"
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
const closeLimit = Duration.seconds(1)

/** PostgreSQL cuts longer names without an error, and the notifications would have another name. */
const longestName = 63

const backOff = Schedule.exponential(Duration.millis(100), 2).pipe(
  Schedule.union(Schedule.spaced(Duration.seconds(30))),
  Schedule.jittered
)

/** A connection that listens, and why it ended: `undefined` when it is not needed any more. */
interface Link {
  readonly connection: PgConnection
  readonly ended: Deferred.Deferred<ConnectionError | undefined>
}

/** A stream of payloads. */
type Payloads = Mailbox.Mailbox<string, ConnectionError>

/**
 * @since 0.1.0
 * @category models
 */
export interface Listener {
  /**
   * The payloads sent to a channel from now on. Listens when the stream begins, confirmed by the server. When the layer of
   * the database is closed, it fails with `ConnectionError` of reason `Closed`, after what has arrived.
   */
  readonly listen: (channel: string) => Stream.Stream<string, DbError>
}

const send = (connection: PgConnection, sql: string): Effect.Effect<void, DbError> =>
  Effect.async((resume) => {
    const unusable = connection.unusable(sql)
    if (unusable !== undefined) return resume(Effect.fail(unusable))
    connection.run(sql, (error) => resume(error === undefined ? Effect.void : Effect.fail(error)))
  })

const close = (connection: PgConnection): Effect.Effect<void> =>
  Effect.async<void>((resume) => connection.close(() => resume(Effect.void))).pipe(
    Effect.interruptible,
    Effect.timeoutOption(closeLimit),
    Effect.ensuring(Effect.sync(() => connection.destroy()))
  )

const quote = (channel: string): string => `"${channel.replaceAll("\"", "\"\"")}"`

/**
 * Makes the listener of a database. It opens a connection when the first stream begins and closes it when the last one
 * has ended. `keepalive`: within how many milliseconds a connection that went silent is noticed; 0: within 40 seconds.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  database: string,
  open: Effect.Effect<PgConnection, ConnectionError | TimeoutError>,
  keepalive: number
): Effect.Effect<Listener, never, Scope.Scope> =>
  Effect.gen(function*() {
    const askEvery = keepalive > 0 ? Math.min(longestPause, keepalive * 0.75) : longestPause
    const answerLimit = keepalive > 0 ? Math.min(longestAnswer, keepalive * 0.25) : longestAnswer
    const channels = new Map<string, Set<Payloads>>()
    const closed = yield* Deferred.make<never, ConnectionError>()
    const lock = Effect.unsafeMakeSemaphore(1)
    const isUp = Effect.unsafeMakeLatch(false)
    let link: Link | undefined

    const silence = Effect.suspend(() => {
      const current = link
      link = undefined
      isUp.unsafeClose()
      if (current === undefined) return Effect.void
      Deferred.unsafeDone(current.ended, Effect.succeed(undefined))
      return close(current.connection)
    })

    const unanswered = (): ConnectionError =>
      failure({
        _tag: "ConnectionError",
        reason: "Lost",
        what: "the connection that listens does not answer",
        outcome: "NotSent",
        database
      })

    /** Gives a connection up, as if it had been lost. */
    const drop = (connection: PgConnection): void => {
      const onLost = connection.onLost
      connection.destroy()
      onLost?.(unanswered())
    }

    // An exchange that is not waited for to its end leaves a connection that nothing can be sent on.
    const run = (connection: PgConnection, sql: string): Effect.Effect<void, DbError> =>
      send(connection, sql).pipe(
        Effect.timeoutFail({ duration: answerLimit, onTimeout: unanswered }),
        Effect.onError(() => Effect.sync(() => drop(connection)))
      )

    // Holds the lock. After it there is a connection that listens to every channel that is asked for, or none is needed.
    const connect: Effect.Effect<void, DbError> = Effect.suspend(() =>
      channels.size === 0 || link !== undefined ?
        Effect.void :
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(restore(open), (connection) => {
            const ended = Deferred.unsafeMake<ConnectionError | undefined>(FiberId.none)
            connection.onNotification = (channel, payload) => {
              for (const payloads of channels.get(channel) ?? []) payloads.unsafeOffer(payload)
            }
            connection.onLost = (error) => {
              if (link?.connection === connection) {
                link = undefined
                isUp.unsafeClose()
              }
              Deferred.unsafeDone(ended, Effect.succeed(error))
            }
            const sql = Array.from(channels.keys(), (channel) => `LISTEN ${quote(channel)}`).join("; ")
            return Effect.zipRight(
              restore(run(connection, sql)),
              Effect.sync(() => {
                link = { connection, ended }
                isUp.unsafeOpen()
              })
            )
          })
        )
    )

    const add = (channel: string, payloads: Payloads): Effect.Effect<void, DbError> =>
      lock.withPermits(1)(Effect.suspend(() => {
        const others = channels.get(channel)
        // Heard of before the server is asked: nothing that arrives right after its answer is missed.
        if (others !== undefined) {
          others.add(payloads)
          return connect
        }
        channels.set(channel, new Set([payloads]))
        return link === undefined ? connect : run(link.connection, `LISTEN ${quote(channel)}`)
      }))

    const remove = (channel: string, payloads: Payloads): Effect.Effect<void> =>
      lock.withPermits(1)(Effect.suspend(() => {
        const all = channels.get(channel)
        if (all === undefined || !all.delete(payloads) || all.size > 0) return Effect.void
        channels.delete(channel)
        if (channels.size === 0) return silence
        // A failure means that the connection is lost, and with it its LISTENs.
        return link === undefined ? Effect.void : Effect.ignore(run(link.connection, `UNLISTEN ${quote(channel)}`))
      }))

    /** Gives the connection up when it does not answer any more. */
    const ask = ({ connection }: Link): Effect.Effect<never> =>
      Effect.async<void, DbError>((resume) =>
        connection.ping((error) => resume(error === undefined ? Effect.void : Effect.fail(error)))
      ).pipe(
        Effect.timeoutFail({ duration: answerLimit, onTimeout: unanswered }),
        Effect.onError(() => Effect.sync(() => drop(connection))),
        lock.withPermits(1),
        Effect.delay(askEvery),
        Effect.forever,
        Effect.catchAll(() => Effect.never)
      )

    const watch = Effect.gen(function*() {
      yield* isUp.await
      if (link === undefined) return
      const lost = yield* Effect.raceFirst(Deferred.await(link.ended), ask(link))
      if (lost === undefined) return
      yield* Effect.logWarning(
        `The connection that listens on database "${database}" was lost; listening again. ` +
          "Notifications sent meanwhile do not arrive."
      ).pipe(Effect.annotateLogs({ reason: lost.reason, channels: Array.from(channels.keys()).join(", ") }))
      yield* Effect.retry(lock.withPermits(1)(connect), backOff)
      yield* Metric.update(Metric.tagged(reconnects, "db.client.connection.pool.name", database), 1)
    })

    const end = Effect.suspend(() => {
      const error = failure({
        _tag: "ConnectionError",
        reason: "Closed",
        what: "its layer was closed, and with it the connection that listens",
        outcome: "NotSent",
        database
      })
      // First: it releases a fiber that waits for a connection while it holds the lock.
      Deferred.unsafeDone(closed, Effect.fail(error))
      return lock.withPermits(1)(Effect.suspend(() => {
        for (const all of channels.values()) {
          for (const payloads of all) payloads.unsafeDone(Exit.fail(error))
        }
        channels.clear()
        return silence
      }))
    })

    yield* Effect.addFinalizer(() => end)
    yield* Effect.forkScoped(Effect.interruptible(Effect.forever(watch)))

    const listen = (channel: string): Stream.Stream<string, DbError> =>
      Stream.unwrapScoped(Effect.gen(function*() {
        if (Buffer.byteLength(channel) > longestName || channel === "" || channel.includes("\0")) {
          return yield* failure({
            _tag: "QueryError",
            reason: "Parameter",
            what: `the name of a channel has 1 to ${longestName} bytes`,
            outcome: "NotSent",
            database,
            statement: undefined
          })
        }
        const payloads = yield* Mailbox.make<string, ConnectionError>()
        yield* Effect.addFinalizer(() => Effect.zipRight(remove(channel, payloads), payloads.shutdown))
        yield* Effect.raceFirst(Deferred.await(closed), add(channel, payloads))
        return Mailbox.toStream(payloads)
      }))

    return { listen }
  })
