/**
 * Opening a connection whose protocol is spoken by a library: hosts in their order, each set up before it counts as open.
 */
import * as Effect from "effect/Effect"
import type { DbConfig } from "../../../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import type { Done } from "../../../driver/Driver.js"
import { failure } from "../failure.js"

interface Connection {
  readonly setUp: (done: Done<void>) => void
  readonly close: (done: Done<void>) => void
  readonly destroy: () => void
}

/** One of the hosts of a configuration. */
export interface Candidate<C> {
  /** For messages. */
  readonly where: string
  /** Opens a link. An interrupt drops its socket. */
  readonly open: Effect.Effect<C, ConnectionError | TimeoutError>
}

/** Reasons for which the other hosts are not tried: they would say the same, or the same user would be locked out. */
const final: ReadonlySet<ConnectionError["reason"]> = new Set(["Authentication", "Authorization", "UnknownDatabase"])

/** A setting that the server does not take makes a connection that cannot be opened. */
const asConnectionError = (error: DbError, config: DbConfig, where: string): ConnectionError | TimeoutError =>
  error._tag !== "QueryError" ? error : failure({
    _tag: "ConnectionError",
    reason: "Unsupported",
    database: config.name,
    what: `${where} refused the settings of the connection: ${error.detail ?? error.what}`,
    outcome: "NotSent",
    code: error.code,
    cause: error.cause
  })

const setUp = <C extends Connection>(
  config: DbConfig,
  { open, where }: Candidate<C>
): Effect.Effect<C, ConnectionError | TimeoutError> =>
  Effect.flatMap(open, (connection) =>
    Effect.async((resume) => {
      connection.setUp((error) => {
        if (error === undefined) return resume(Effect.succeed(connection))
        connection.destroy()
        resume(Effect.fail(asConnectionError(error, config, where)))
      })
      return Effect.sync(() => connection.destroy())
    }))

const unwanted = (config: DbConfig, where: string): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: config.targetSessionAttrs === "read-write" || config.targetSessionAttrs === "primary"
      ? "ReadOnlyServer"
      : "Unsupported",
    database: config.name,
    what: `${where} is not what target_session_attrs=${config.targetSessionAttrs} asks for`,
    outcome: "NotSent"
  })

/** One silent host must not use up the time of the others. */
const share = <A, E>(
  config: DbConfig,
  where: string,
  effect: Effect.Effect<A, E>
): Effect.Effect<A, E | ConnectionError> => {
  const limit = config.pool.connectTimeout
  return config.hosts.length < 2 || limit === 0 ? effect : Effect.timeoutFail(Effect.interruptible(effect), {
    duration: limit / config.hosts.length,
    onTimeout: () =>
      failure({
        _tag: "ConnectionError",
        reason: "Unreachable",
        database: config.name,
        what: `${where}: no answer`,
        outcome: "NotSent"
      })
  })
}

/**
 * Bounds what must not take longer than connecting may. Interruptible where the caller is not: a limit could not end what
 * cannot be interrupted.
 */
export const withinConnectTimeout =
  (config: DbConfig, what: string) => <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E | TimeoutError> => {
    const limit = config.pool.connectTimeout
    return limit === 0 ? effect : Effect.timeoutFail(Effect.interruptible(effect), {
      duration: limit,
      onTimeout: () =>
        failure({
          _tag: "TimeoutError",
          phase: "Connect",
          limitMillis: limit,
          database: config.name,
          what,
          outcome: "NotSent"
        })
    })
  }

/**
 * Opens one connection within the configuration's connect limit, to the first host that `isWanted`. Fails with
 * `ConnectionError`, or with `TimeoutError` phase `Connect`.
 */
export const openFirst = <C extends Connection>(
  config: DbConfig,
  candidates: ReadonlyArray<Candidate<C>>,
  isWanted: (connection: C) => boolean
): Effect.Effect<C, ConnectionError | TimeoutError> =>
  Effect.gen(function*() {
    const failures: Array<ConnectionError | TimeoutError> = []
    let second: C | undefined
    for (const candidate of candidates) {
      const result = yield* Effect.either(share(config, candidate.where, setUp(config, candidate)))
      if (result._tag === "Left") {
        failures.push(result.left)
        if (result.left._tag === "ConnectionError" && final.has(result.left.reason)) break
        continue
      }
      const connection = result.right
      if (isWanted(connection)) {
        second?.close(() => {})
        return connection
      }
      failures.push(unwanted(config, candidate.where))
      if (config.targetSessionAttrs === "prefer-standby" && second === undefined) second = connection
      else connection.close(() => {})
    }
    if (second !== undefined) return second
    const last = failures[failures.length - 1]!
    if (failures.length === 1 || last._tag === "TimeoutError") return yield* last
    return yield* failure({
      _tag: "ConnectionError",
      reason: last.reason,
      database: config.name,
      what: failures.map(({ what }) => what).join("; "),
      outcome: "NotSent",
      code: last.code,
      cause: last.cause
    })
  }).pipe(
    withinConnectTimeout(
      config,
      `${candidates.map(({ where }) => where).join(", ")}: the connection was not open in time`
    )
  )
