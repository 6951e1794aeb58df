/**
 * Opening a connection: hosts in their order, TLS as asked for, settings as startup parameters.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { summary } from "../../error/message.js"
import { failure } from "../failure.js"
import { ownRequest } from "../ownRequest.js"
import { Unencrypted } from "../Unencrypted.js"
import { classifyLink } from "./codes.js"
import type { PgConnection } from "./connection.js"
import { Failures } from "./failures.js"
import type { Attempt } from "./handshake.js"
import { attempt, place } from "./handshake.js"
import * as Pooling from "./pooling.js"
import type { Settings } from "./session.js"
import { tlsOptions } from "./tls.js"
import { Types } from "./types.js"

/** What is remembered between openings. */
export interface Memory {
  /** Servers that have no TLS, where that is allowed: `host:port`. */
  readonly plain: Set<string>
  /** What a pooler in front of the server has refused. */
  readonly learnt: Pooling.Learnt
  /** The same servers, for the log. */
  readonly unencrypted: Unencrypted
}

export const remember = (): Memory => ({
  plain: new Set(),
  learnt: { refused: new Set(), floatDigits: undefined },
  unencrypted: new Unencrypted()
})

/** The user of a configuration that names none, as libpq has it. */
export const defaultUser = (): string => process.env["USER"] ?? "postgres"

/** A host, and the credentials for it. */
interface Target extends Omit<Attempt, "tls" | "startup"> {
  readonly memory: Memory
}

const hasNoTls = (error: Error): boolean => error.message === "The server does not support SSL connections"

/**
 * One host, without the startup parameters that a pooler in front of it refuses. A pooler names one at a time, so that it
 * is asked again until it names none, or one that was not sent.
 */
const openPooled = (options: Target): Effect.Effect<PgConnection, Error> =>
  Effect.suspend(() => {
    const { config, host, memory, user } = options
    const startup = Pooling.startupParameters(config, user, memory.learnt)
    return Effect.catchAll(openHost({ ...options, startup }), (error) => {
      const refused = Pooling.refusedParameter(error.message)
      const out = refused === undefined ? [] : Pooling.learn(memory.learnt, refused, startup)
      if (out.length === 0) return Effect.fail(error)
      return Effect.zipRight(
        Effect.logWarning(
          `A pooler in front of database "${config.name}" does not take startup parameters: opening without ` +
            `${out.join(", ")}. Limits are kept by dblive alone, and settings go with each transaction. ` +
            "If the pooler is in transaction mode, set prepare: false (?pgbouncer=true)."
        ).pipe(Effect.annotateLogs({ database: config.name, server: place(host), refused })),
        openPooled(options)
      )
    })
  })

/** One host, with what `prefer` makes necessary. */
const openHost = (options: Target & Pick<Attempt, "startup">): Effect.Effect<PgConnection, Error> => {
  const { config, host, memory } = options
  const key = place(host)
  const tls = memory.plain.has(key) ? undefined : tlsOptions(config, host)
  return attempt({ ...options, tls }).pipe(
    Effect.catchAll((error) => {
      if (hasNoTls(error) && config.ssl.mode === "prefer") {
        memory.plain.add(key)
        return Effect.tap(
          attempt({ ...options, tls: undefined }),
          () => Effect.sync(() => memory.unencrypted.add(host))
        )
      }
      // It may have got TLS since.
      memory.plain.delete(key)
      return Effect.fail(error)
    })
  )
}

/** Reasons for which the other hosts are not tried: they would say the same, or the same user would be locked out. */
const final: ReadonlySet<ConnectionError["reason"]> = new Set(["Authentication", "Authorization", "UnknownDatabase"])

/** Whether a server is of the kind that was asked for; `undefined`: it did not say (before PostgreSQL 14). */
const isWanted = (
  wanted: DbConfig["targetSessionAttrs"],
  connection: PgConnection,
  access: DbConfig["access"]
): boolean | undefined => {
  const standby = connection.parameters.get("in_hot_standby")
  const readOnly = connection.parameters.get("default_transaction_read_only")
  if (wanted === "any") return true
  if (standby === undefined || readOnly === undefined) return undefined
  const isStandby = standby === "on"
  // When we ask for read-only sessions ourselves, the setting says nothing of the server.
  const isReadOnly = isStandby || (readOnly === "on" && access === "read-write")
  switch (wanted) {
    case "read-write":
      return !isReadOnly
    case "read-only":
      return isReadOnly
    case "primary":
      return !isStandby
    case "standby":
    case "prefer-standby":
      return isStandby
  }
}

const unwanted = (config: DbConfig, where: string): ConnectionError =>
  failure({
    _tag: "ConnectionError",
    reason: config.targetSessionAttrs === "read-write" || config.targetSessionAttrs === "primary"
      ? "ReadOnlyServer"
      : "Unsupported",
    what: `${where}: the server is not what target_session_attrs=${config.targetSessionAttrs} asks for`,
    outcome: "NotSent",
    database: config.name
  })

/** One row, from a connection that is being opened. */
const askRow = (connection: PgConnection, text: string): Effect.Effect<ReadonlyArray<unknown>, Error> =>
  Effect.async((resume) => {
    connection.execute(ownRequest(text), (error, rows) => {
      // What the server said: it is told again as the reason why the connection is not opened.
      if (error !== undefined) return resume(Effect.fail(error.cause instanceof Error ? error.cause : error))
      // An answer in the mode `values`, of one row.
      resume(Effect.succeed((rows as ReadonlyArray<ReadonlyArray<unknown>>)[0]!))
    })
    return Effect.sync(() => connection.destroy())
  })

/** Old servers have to be asked, and a pooler may have told us of another. */
const askKind = (connection: PgConnection): Effect.Effect<void, Error> =>
  Effect.map(
    askRow(
      connection,
      "SELECT pg_is_in_recovery() AS standby, current_setting('default_transaction_read_only') AS read_only"
    ),
    ([standby, readOnly]) => {
      connection.parameters.set("in_hot_standby", standby === true ? "on" : "off")
      connection.parameters.set("default_transaction_read_only", String(readOnly))
    }
  )

/**
 * Gives a connection what goes with each of its transactions. The first one of a pool shows that the server takes it,
 * and says how it writes floats.
 */
const carry = (config: DbConfig, { learnt }: Memory, connection: PgConnection): Effect.Effect<void, Error> =>
  Effect.suspend(() => {
    const give = () => {
      connection.session.carried = Pooling.carriedOf(config, learnt, connection.parameters)
    }
    give()
    if (connection.session.carried === undefined || learnt.floatDigits !== undefined) return Effect.void
    return Effect.map(askRow(connection, Pooling.floatQuestion), ([digits]) => {
      learnt.floatDigits = Number(digits)
      give()
    })
  })

const credential = <A>(
  config: DbConfig,
  what: string,
  value: A | Effect.Effect<A, unknown>
): Effect.Effect<A, ConnectionError> =>
  Effect.isEffect(value)
    ? Effect.mapError(value as Effect.Effect<A, unknown>, (cause) =>
      failure({
        _tag: "ConnectionError",
        reason: "Authentication",
        what: `the ${what} could not be obtained`,
        outcome: "NotSent",
        database: config.name,
        cause
      }))
    : Effect.succeed(value)

/** What a configuration has connections opened with. */
interface Opening extends Pick<Settings, "prepareLimit" | "texts"> {
  readonly config: DbConfig
  readonly memory: Memory
  /** Every connection that was made, so that none is lost with a race that it did not win. */
  readonly made: Set<PgConnection>
}

const settingsAt = ({ config, prepareLimit, texts }: Opening, host: Host): Settings => ({
  prepareLimit,
  texts,
  // Not kept from one connection to the next: behind the same address there may be another cluster by now, in which the
  // same oids are other types.
  types: new Types(config.types, config.jsonNumbers),
  isPooled: !config.prepare,
  failures: new Failures(config.name, place(host), config.limits)
})

const tryHost = (
  opening: Opening,
  host: Host,
  credentials: Pick<Attempt, "user" | "password">
): Effect.Effect<PgConnection, ConnectionError> => {
  const { config, made, memory } = opening
  return openPooled({ ...credentials, config, settings: settingsAt(opening, host), host, memory, made }).pipe(
    Effect.tap((connection) => carry(config, memory, connection)),
    Effect.tap((connection) =>
      config.targetSessionAttrs !== "any" &&
        (connection.session.carried !== undefined ||
          isWanted(config.targetSessionAttrs, connection, config.access) === undefined)
        ? askKind(connection)
        : Effect.void
    ),
    Effect.mapError((cause) =>
      classifyLink(cause, {
        database: config.name,
        where: place(host),
        outcome: "NotSent",
        otherwise: "Unknown"
      })
    ),
    // One silent host must not use up the time of the others.
    config.hosts.length > 1
      ? Effect.timeoutFail({
        duration: config.pool.connectTimeout / config.hosts.length,
        onTimeout: () =>
          failure({
            _tag: "ConnectionError",

            reason: "Unreachable",
            what: `${place(host)}: no answer`,
            outcome: "NotSent",
            database: config.name
          })
      })
      : (self) => self
  )
}

/** The first host whose server is of the kind that was asked for. */
const tryAll = Effect.fnUntraced(function*(opening: Opening) {
  const { config } = opening
  const user = (yield* credential(config, "user name", config.username)) ?? defaultUser()
  const password = config.password === undefined
    ? undefined
    : Redacted.value(yield* credential(config, "password", config.password))
  const failures: Array<ConnectionError> = []
  let second: PgConnection | undefined
  for (const host of config.hosts) {
    const result = yield* Effect.either(tryHost(opening, host, { user, password }))
    if (result._tag === "Left") {
      failures.push(result.left)
      if (final.has(result.left.reason)) break
      continue
    }
    const connection = result.right
    if (isWanted(config.targetSessionAttrs, connection, config.access) === true) return connection
    failures.push(unwanted(config, place(host)))
    if (config.targetSessionAttrs === "prefer-standby") second ??= connection
  }
  if (second !== undefined) return second
  const last = failures[failures.length - 1]!
  if (failures.length === 1) return yield* last
  return yield* failure({
    _tag: "ConnectionError",
    reason: last.reason,
    what: failures.map((failure) => summary(failure, failure.reason)).join("; "),
    outcome: "NotSent",
    database: config.name,
    cause: last.cause
  })
})

/**
 * Opens one connection within the configuration's connect limit. Fails with `ConnectionError`, or with `TimeoutError`
 * phase `Connect`.
 */
export const open = (
  config: DbConfig,
  { prepareLimit, texts }: Pick<Settings, "prepareLimit" | "texts">,
  memory: Memory
): Effect.Effect<PgConnection, ConnectionError | TimeoutError> =>
  Effect.suspend(() => {
    const limit = config.pool.connectTimeout
    const made = new Set<PgConnection>()
    // Interruptible in itself, so that the limit holds also where the caller is not.
    return Effect.timeoutFail(Effect.interruptible(tryAll({ config, prepareLimit, texts, memory, made })), {
      duration: limit,
      onTimeout: () =>
        failure({
          _tag: "TimeoutError",
          phase: "Connect",
          what: `${config.hosts.map(place).join(", ")}: the connection was not open in time`,
          outcome: "NotSent",
          database: config.name,
          limitMillis: limit
        })
    }).pipe(
      // An interrupt, a limit and an answer may come in the same moment: what is not given away is closed.
      Effect.onExit((exit) =>
        Effect.sync(() => {
          for (const connection of made) {
            if (exit._tag === "Failure" || connection !== exit.value) connection.destroy()
          }
        })
      )
    )
  })
