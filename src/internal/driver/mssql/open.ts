/**
 * Opening a connection: hosts in their order, each link set up before it counts as open.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, DbError, TimeoutError } from "../../../DbError.js"
import { failure } from "../Failure.js"
import type { Unencrypted } from "../Unencrypted.js"
import { MssqlConnection } from "./connection.js"
import { openLink, whereIs } from "./link.js"

/** Reasons for which the other hosts are not tried: they would say the same, or the same user would be locked out. */
const final: ReadonlySet<ConnectionError["reason"]> = new Set(["Authentication", "Authorization", "UnknownDatabase"])

const isWanted = (wanted: DbConfig["targetSessionAttrs"], connection: MssqlConnection): boolean =>
  wanted === "any" || connection.updateable === (wanted === "read-write" || wanted === "primary")

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

/** One host. An interrupt drops the socket. */
const tryHost = (
  config: DbConfig,
  host: Host,
  unencrypted: Unencrypted | undefined
): Effect.Effect<MssqlConnection, ConnectionError | TimeoutError> =>
  Effect.flatMap(openLink(config, host, unencrypted), (link) =>
    Effect.async((resume) => {
      const connection = new MssqlConnection(config, whereIs(host), link)
      connection.setUp((error) => {
        if (error === undefined) return resume(Effect.succeed(connection))
        connection.destroy()
        resume(Effect.fail(asConnectionError(error, config, whereIs(host))))
      })
      return Effect.sync(() => connection.destroy())
    }))

/**
 * Opens one connection within the configuration's connect limit. Fails with `ConnectionError`, or with `TimeoutError`
 * phase `Connect`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeOpen = (
  config: DbConfig,
  unencrypted?: Unencrypted
): Effect.Effect<MssqlConnection, ConnectionError | TimeoutError> => {
  const limit = config.pool.connectTimeout
  const all = config.hosts.map(whereIs).join(", ")

  const unwanted = (host: Host): ConnectionError =>
    failure({
      _tag: "ConnectionError",
      reason: config.targetSessionAttrs === "read-write" || config.targetSessionAttrs === "primary"
        ? "ReadOnlyServer"
        : "Unsupported",
      database: config.name,
      what: `${whereIs(host)} is not what target_session_attrs=${config.targetSessionAttrs} asks for`,
      outcome: "NotSent"
    })

  /** One silent host must not use up the time of the others. */
  const share = <A, E>(effect: Effect.Effect<A, E>, host: Host): Effect.Effect<A, E | ConnectionError> =>
    config.hosts.length < 2 || limit === 0 ? effect : Effect.timeoutFail(effect, {
      duration: limit / config.hosts.length,
      onTimeout: () =>
        failure({
          _tag: "ConnectionError",
          reason: "Unreachable",
          database: config.name,
          what: `${whereIs(host)}: no answer`,
          outcome: "NotSent"
        })
    })

  const tryAll = Effect.gen(function*() {
    const failures: Array<ConnectionError | TimeoutError> = []
    let second: MssqlConnection | undefined
    for (const host of config.hosts) {
      const result = yield* Effect.either(share(tryHost(config, host, unencrypted), host))
      if (result._tag === "Left") {
        failures.push(result.left)
        if (result.left._tag === "ConnectionError" && final.has(result.left.reason)) break
        continue
      }
      const connection = result.right
      if (isWanted(config.targetSessionAttrs, connection)) {
        second?.close(() => {})
        return connection
      }
      failures.push(unwanted(host))
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
  })

  return limit === 0 ? tryAll : Effect.timeoutFail(tryAll, {
    duration: limit,
    onTimeout: () =>
      failure({
        _tag: "TimeoutError",
        phase: "Connect",
        limitMillis: limit,
        database: config.name,
        what: `${all}: the connection was not open in time`,
        outcome: "NotSent"
      })
  })
}
