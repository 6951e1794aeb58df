/**
 * The replicas of a database: to which of its servers a read goes, so that it shows nothing older than what its fiber has seen.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { identity } from "effect/Function"
import type * as DbConfig from "../../DbConfig.js"
import type { DbError } from "../../DbError.js"
import type { ReplicaInfo, ReplicaReport } from "../../DbHealth.js"
import type * as Driver from "../../driver/Driver.js"
import { noReplica } from "../error/engine.js"
import type { AnyFiber } from "../fiber/Caller.js"
import { matchCause, type Restore } from "../fiber/fiberContext.js"
import type { Session, SessionLevel } from "../session/Session.js"
import { PrimaryPosition } from "./PrimaryPosition.js"
import { Replica } from "./Replica.js"
import * as Seen from "./Seen.js"
import type { Server } from "./Server.js"

/** How long it is waited between two questions to a replica that is behind: first, and at most, in milliseconds. */
const firstPause = 1
const longestPause = 16

/** Why a read ran where it did. */
export type ReadReason =
  /** The replica was as far as it had to be. */
  | "current"
  /** It was waited for. */
  | "waited"
  /** The primary: no replica came as far in time. */
  | "behind"
  /** The primary: all replicas are left out. */
  | "left out"
  /** The primary: it could not be asked how far a replica has to be. */
  | "unknown position"

/** A session, on the server that was chosen. */
interface Opened {
  readonly session: Session
  readonly server: Server
}

/** How far a replica is. */
interface Found {
  readonly session?: undefined
  readonly position: bigint
  readonly waited: boolean
}

/** What came of a look at a replica: a session, or how far it is. `undefined`: no reads go to it. */
type Looked = Opened | Found | undefined

const forReading = { writes: false, inside: undefined }
const failingFast = { ...forReading, failFast: true }

export class Replicas {
  readonly all: ReadonlyArray<Replica>
  private readonly primaryPosition: PrimaryPosition
  /** Whose turn it is among equals. */
  private turn = 0

  constructor(
    private readonly primary: Server,
    replicas: ReadonlyArray<Server>,
    /** That of the primary's driver, as that of the replicas is of the same family. */
    readonly replication: Driver.Replication,
    private readonly options: DbConfig.Replication
  ) {
    this.all = replicas.map((server) => new Replica(server, options))
    this.primaryPosition = new PrimaryPosition(
      primary.ask((connection, done: Driver.Done<bigint>) => replication.written(connection, done), true),
      primary.clock,
      primary.fork
    )
  }

  // ---------------------------------------------------------------------------
  // what a fiber has seen
  // ---------------------------------------------------------------------------

  /** The primary has answered this fiber: it may have seen all that was written until now. */
  answered(fiber: AnyFiber): void {
    const { begun } = this.primaryPosition
    const seen = Seen.get(fiber, this)
    if (seen?.pending !== begun) {
      Seen.set(fiber, this, { position: seen?.position ?? 0n, pending: begun })
    }
  }

  /** A transaction of this fiber has ended. */
  ended(fiber: AnyFiber, level: SessionLevel): void {
    if (level.kind !== "transaction") {
      return
    }
    const { position, session } = level
    if (position === undefined) {
      // What a replica has shown, the primary has written.
      return this.answered(fiber)
    }
    if (session.engine !== this.primary) {
      this.all.find(({ server }) => server === session.engine)?.replayed(session.connection, position)
      return Seen.add(fiber, this, { position, pending: undefined })
    }
    Seen.committed(fiber, this, position)
  }

  /** How far a replica has to be to show this fiber nothing older than it has seen; 0 where it has seen nothing. */
  private seenBy(fiber: AnyFiber): Effect.Effect<bigint, DbError> {
    const seen = Seen.get(fiber, this)
    return seen === undefined
      ? Effect.succeed(0n)
      : seen.pending === undefined
      ? Effect.succeed(seen.position)
      : Effect.map(
        this.primaryPosition.after(seen.pending),
        ({ position }) => Seen.told(fiber, this, seen, position)
      )
  }

  /** What a fiber has seen, as a text for others; `undefined` for nothing. */
  readonly token: Effect.Effect<string | undefined, DbError> = Effect.withFiberRuntime((fiber) =>
    Effect.map(this.seenBy(fiber), (position) => position === 0n ? undefined : this.replication.format(position))
  )

  /** This fiber has seen what another one had. */
  sawToken(fiber: AnyFiber, position: bigint): void {
    Seen.add(fiber, this, { position, pending: undefined })
  }

  // ---------------------------------------------------------------------------
  // where a read runs
  // ---------------------------------------------------------------------------

  /**
   * A session for reading, and what is done with it, on a replica that shows enough, else on the primary. To be called where
   * interruption is masked, as `openSession` of an engine.
   *
   * @param staleness how old the data may be, in milliseconds; 0: nothing older than what the fiber has seen
   */
  openSession<A, E, R, E2>(
    fiber: AnyFiber,
    restore: Restore,
    staleness: number | undefined,
    fail: (error: DbError) => E2,
    use: (session: Session, server: Server) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | E2, R> {
    const limit = staleness ?? this.options.staleness
    const required = limit > 0
      ? Effect.map(this.primaryPosition.notOlder(limit), ({ position }) => position)
      : this.seenBy(fiber)
    const opened = matchCause(
      restore(required),
      (cause) =>
        Cause.isInterrupted(cause)
          ? Exit.failCause(cause)
          : this.atPrimary(fiber, restore, "unknown position"),
      (position) => this.open(fiber, restore, position)
    )
    return matchCause(
      opened,
      (cause) => Exit.failCause(Cause.map(cause, fail)),
      ({ server, session }) => use(session, server)
    )
  }

  private open(fiber: AnyFiber, restore: Restore, required: bigint): Effect.Effect<Opened, DbError> {
    const candidates = this.candidates()
    const { waitTimeout } = this.options
    const looking = { fiber, restore, required }
    if (candidates.length === 1) {
      return Effect.flatMap(
        this.look(candidates[0]!, looking, waitTimeout),
        (looked) =>
          looked?.session === undefined
            ? this.atPrimary(fiber, restore, looked === undefined ? "left out" : "behind")
            : Effect.succeed(looked)
      )
    }
    const at = (
      index: number,
      furthest: { replica: Replica; position: bigint } | undefined
    ): Effect.Effect<Opened, DbError> => {
      const replica = candidates[index]
      if (replica !== undefined) {
        return Effect.flatMap(this.look(replica, looking, 0), (looked) =>
          looked?.session !== undefined
            ? Effect.succeed(looked)
            : at(
              index + 1,
              looked !== undefined && (furthest === undefined || looked.position > furthest.position)
                ? { replica, position: looked.position }
                : furthest
            ))
      }
      if (furthest === undefined) {
        return this.atPrimary(fiber, restore, "left out")
      }
      return waitTimeout === 0
        ? this.atPrimary(fiber, restore, "behind")
        : Effect.flatMap(
          this.look(furthest.replica, looking, waitTimeout),
          (looked) => looked?.session === undefined ? this.atPrimary(fiber, restore, "behind") : Effect.succeed(looked)
        )
    }
    return at(0, undefined)
  }

  /** Those that reads go to, the one with the fewest borrowers first. Those whose time is over are looked at again in the background. */
  private candidates(): ReadonlyArray<Replica> {
    const now = this.primary.clock.unsafeCurrentTimeMillis()
    const { length } = this.all
    const turn = this.turn++
    const present: Array<Replica> = []
    for (let i = 0; i < length; i++) {
      const replica = this.all[(turn + i) % length]!
      if (replica.absence === undefined) {
        present.push(replica)
      } else if (replica.absence.until <= now) {
        this.probe(replica)
      }
    }
    // Stable: among equals their turn decides.
    return present.length < 2 ? present : present.sort((a, b) => a.load - b.load)
  }

  /** A session on a replica, where it shows enough within so many milliseconds. */
  private look(
    replica: Replica,
    { fiber, required, restore }: { readonly fiber: AnyFiber; readonly restore: Restore; readonly required: bigint },
    wait: number
  ): Effect.Effect<Looked, DbError> {
    const { server } = replica
    const isOpened = server.openSession<Looked, DbError, never, DbError>(
      fiber,
      restore,
      failingFast,
      identity,
      (session) => {
        if (replica.isKnown(session.connection, required)) {
          this.chose(server, "current")
          return Effect.succeed({ session, server })
        }
        return matchCause(
          restore(this.check(replica, session, required, wait)),
          (cause) => Effect.zipRight(server.closeSession(session), Exit.failCause(cause)),
          (found): Effect.Effect<Looked> => {
            if (found !== undefined && found.position >= required) {
              this.chose(server, found.waited ? "waited" : "current")
              return Effect.succeed({ session, server })
            }
            return Effect.as(server.closeSession(session), found)
          }
        )
      }
    )
    return Effect.catchAll(isOpened, (error) => {
      // It was told of its failure, and reads go elsewhere now; a wait for one of its connections is one for the caller.
      if (error._tag === "TimeoutError" && error.phase === "Acquire") {
        return Effect.fail(error)
      }
      if (replica.absence === undefined) {
        replica.leave("down")
      }
      return Effect.succeed(undefined)
    })
  }

  /** Asks a replica how far it is, until it is far enough or the time is over. */
  private check(
    replica: Replica,
    session: Session,
    required: bigint,
    wait: number
  ): Effect.Effect<Found | undefined, DbError> {
    const { server } = replica
    const { connection } = session
    const until = server.clock.unsafeCurrentTimeMillis() + wait
    const ask = Effect.ensuring(
      server.askIn(
        session,
        (connection, done: Driver.Done<Driver.Replayed | undefined>) => this.replication.replayed(connection, done)
      ),
      Effect.sync(() => replica.wasAsked(connection))
    )
    const waited = (pause: number): Effect.Effect<Found | undefined, DbError> =>
      Effect.suspend(() => {
        if (replica.isKnown(connection, required)) {
          return Effect.succeed({ position: required, waited: true })
        }
        const left = until - server.clock.unsafeCurrentTimeMillis()
        // One question is enough for all that wait for the same server.
        return left > 0 && replica.isAskedElsewhere(connection)
          ? Effect.zipRight(Effect.sleep(Math.min(pause, left)), waited(Math.min(pause * 2, longestPause)))
          : asked(pause)
      })
    const asked = (pause: number): Effect.Effect<Found | undefined, DbError> =>
      Effect.flatMap(ask, (answer) => {
        const isEnough = replica.told(connection, answer, required)
        if (isEnough === undefined) {
          return Effect.succeed(undefined)
        }
        const left = until - server.clock.unsafeCurrentTimeMillis()
        return isEnough || left <= 0
          // With `undefined` for an answer there is no place to tell.
          ? Effect.succeed({ position: answer!.position, waited: pause > firstPause })
          : Effect.zipRight(Effect.sleep(Math.min(pause, left)), waited(Math.min(pause * 2, longestPause)))
      })
    return asked(firstPause)
  }

  /** Looks in the background whether reads can go to it again. */
  probe(replica: Replica): void {
    if (replica.isProbed) {
      return
    }
    replica.isProbed = true
    this.primary.fork(Effect.ensuring(
      this.askOf(replica),
      Effect.sync(() => replica.isProbed = false)
    ))
  }

  /** Asks a replica how far it is, on a place of its own; tells whether reads go to it. */
  askOf(replica: Replica): Effect.Effect<void> {
    const { server } = replica
    return server.ask<Driver.Replayed | undefined>(
      (connection, done) =>
        this.replication.replayed(connection, (error, answer) => {
          if (error === undefined) {
            replica.told(connection, answer, 0n)
          }
          done(error, answer)
        }),
      true
    ).pipe(
      Effect.catchAll(() => Effect.sync(() => replica.leave(replica.absence?.reason ?? "down")))
    )
  }

  private atPrimary(fiber: AnyFiber, restore: Restore, reason: ReadReason): Effect.Effect<Opened, DbError> {
    const { primary } = this
    if (this.options.whenNoReplica === "fail") {
      const error = noReplica(primary.name, this.absences, reason)
      primary.failed(error, fiber)
      return Effect.fail(error)
    }
    return primary.openSession(fiber, restore, forReading, identity, (session) => {
      this.chose(primary, reason)
      return Effect.succeed({ session, server: primary })
    })
  }

  /** Asks all replicas how far they are, and tells how they stand. */
  readonly checked: Effect.Effect<ReadonlyArray<ReplicaReport>> = Effect.suspend(() =>
    Effect.map(
      Effect.forEach(this.all, (replica) => this.askOf(replica), { concurrency: "unbounded", discard: true }),
      () => this.report
    )
  )

  /** How they stand by what is known. */
  get report(): ReadonlyArray<ReplicaReport> {
    return this.all.map(({ absence, lag, server: { metrics, pool, poolName } }) => ({
      name: poolName,
      available: absence === undefined,
      reason: absence?.reason ?? null,
      lagSeconds: lag ?? null,
      reads: Object.values(metrics.reads).reduce((a, b) => a + b, 0),
      inUse: pool.inUse,
      waiting: pool.waiting
    }))
  }

  get info(): ReadonlyArray<ReplicaInfo> {
    return this.all.map(({ absence, lag, position, server }) => ({
      name: server.poolName,
      uri: server.driver.target.uri,
      serverVersion: server.serverVersion,
      leftOut: absence === undefined ? undefined : { reason: absence.reason, since: absence.since },
      lagSeconds: lag,
      position: position === undefined ? undefined : this.replication.format(position),
      reads: { ...server.metrics.reads },
      pool: server.pool.figures
    }))
  }

  /** Why no reads go to which replicas, in words. */
  get absences(): string {
    return this.all.filter(({ absence }) => absence !== undefined)
      .map(({ absence, server }) => `${server.poolName} is left out (${absence!.reason})`).join(", ")
  }

  private chose(server: Server, reason: ReadReason): void {
    server.metrics.read(reason)
  }
}
