/**
 * Opening a connection: hosts in their order, TLS as asked for, settings as startup parameters.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberId from "effect/FiberId"
import * as Redacted from "effect/Redacted"
import type { DbConfig, Host } from "../../../DbConfig.js"
import type { ConnectionError, TimeoutError } from "../../../DbError.js"
import { summary } from "../../error/message.js"
import { failure } from "../failure.js"
import { Unencrypted } from "../Unencrypted.js"
import { classifyLink } from "./codes.js"
import type { PgConnection } from "./connection.js"
import { Failures } from "./failures.js"
import type { Attempt } from "./handshake.js"
import { attempt, place } from "./handshake.js"
import { firstOf } from "./hosts.js"
import { askRow, isWanted, look, unwanted } from "./kind.js"
import * as Pooling from "./pooling.js"
import type { Identity } from "./primary.js"
import { Primary, seeksPrimary } from "./primary.js"
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
  /** Which of the servers is the primary. */
  readonly primary: Primary
}

export const remember = (): Memory => ({
  plain: new Set(),
  learnt: { refused: new Set(), floatDigits: undefined },
  unencrypted: new Unencrypted(),
  primary: new Primary()
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

/** For how long a host is waited for alone, in milliseconds: then the next one is asked beside it. */
const patience = 500

/** After how many milliseconds a host that was not the one is asked again, while another one has not answered at all. */
const again = 250

type Credentials = Pick<Attempt, "user" | "password">

/** A connection of the kind that was asked for, and what its server has told. */
interface Found {
  readonly host: Host
  readonly connection: PgConnection
  readonly identity: Identity | undefined
}

/** One host, whatever its server is. */
const tryHost = (
  opening: Opening,
  host: Host,
  credentials: Credentials
): Effect.Effect<Found, ConnectionError> => {
  const { config, made, memory } = opening
  return openPooled({ ...credentials, config, settings: settingsAt(opening, host), host, memory, made }).pipe(
    Effect.tap((connection) => carry(config, memory, connection)),
    Effect.flatMap((connection) =>
      Effect.map(look(config, memory.primary, connection), (identity): Found => ({ host, connection, identity }))
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

/** One host, if its server is of the kind that was asked for. `other` is given a connection to one that is not. */
const tryWanted = (
  opening: Opening,
  host: Host,
  credentials: Credentials,
  other: (found: Found) => void
): Effect.Effect<Found, ConnectionError> =>
  Effect.flatMap(tryHost(opening, host, credentials), (found) => {
    const { config, memory } = opening
    const { connection, identity } = found
    const refused = isWanted(config.targetSessionAttrs, connection, config.access) !== true
      ? unwanted(config, place(host))
      : identity === undefined
      ? undefined
      : memory.primary.refusal(config, host, identity)
    if (refused === undefined) return Effect.succeed(found)
    other(found)
    return Effect.fail(refused)
  })

const closeOther = ({ made }: Opening) => ({ connection }: Found): void => {
  made.delete(connection)
  connection.close(() => {})
}

/** What is said when every host has failed: the reason that tells most, and what each has said. */
const failed = (config: DbConfig, failures: ReadonlyArray<ConnectionError>): ConnectionError => {
  if (failures.length === 1) return failures[0]!
  const told = failures.find(({ reason }) => final.has(reason)) ??
    failures.find(({ reason }) => reason === "StaleTimeline") ??
    // A host that cannot be resolved does not end the wait for the others.
    failures.findLast(({ isTransient }) => isTransient) ?? failures.at(-1)!
  return failure({
    _tag: "ConnectionError",
    reason: told.reason,
    what: failures.map((failure) => summary(failure, failure.reason)).join("; "),
    outcome: "NotSent",
    database: config.name,
    cause: told.cause
  })
}

/** The first of the hosts whose server is of the kind that was asked for. */
const ask = (opening: Opening, credentials: Credentials): Effect.Effect<Found, ConnectionError> =>
  Effect.suspend(() => {
    const { config, memory } = opening
    let second: Found | undefined
    const close = closeOther(opening)
    return firstOf(memory.primary.order(config.hosts), {
      attempt: (host) =>
        tryWanted(opening, host, credentials, (found) => {
          if (config.targetSessionAttrs === "prefer-standby" && second === undefined) second = found
          else close(found)
        }),
      patience,
      isFinal: ({ reason }) => final.has(reason),
      again: seeksPrimary(config) ? again : undefined
    }).pipe(
      Effect.catchAll((failures) =>
        second === undefined ? Effect.fail(failed(config, failures)) : Effect.succeed(second)
      )
    )
  })

/** Asks all hosts where the primary is. Openings that need to know it at the same time wait for one search. */
const search = (opening: Opening, credentials: Credentials): Effect.Effect<Found, ConnectionError> =>
  Effect.suspend(() => {
    const { primary } = opening.memory
    const running = primary.search
    if (running !== undefined) {
      return Effect.flatMap(Deferred.await(running), (host) =>
        host === undefined
          ? openPrimary(opening, credentials)
          : tryWanted(opening, host, credentials, closeOther(opening)))
    }
    const answer = Deferred.unsafeMake<Host | undefined, ConnectionError>(FiberId.none)
    primary.search = answer
    return Effect.onExit(ask(opening, credentials), (exit) => {
      primary.search = undefined
      return Deferred.done(
        answer,
        exit._tag === "Failure" && Cause.isInterrupted(exit.cause)
          ? Exit.succeed(undefined)
          : Exit.map(exit, ({ host }) => host)
      )
    })
  })

/** Failures of a server that is the primary all the same. */
const ofPrimary: ReadonlySet<ConnectionError["reason"]> = new Set([...final, "TooManyConnections", "Tls"])

/** Where the primary was last, if it still is there, and else where it is now. */
const openPrimary = (opening: Opening, credentials: Credentials): Effect.Effect<Found, ConnectionError> =>
  Effect.suspend(() => {
    const { primary } = opening.memory
    const { host } = primary
    const elsewhere = search(opening, credentials)
    if (host === undefined) return elsewhere
    const there = Effect.catchAll(tryWanted(opening, host, credentials, closeOther(opening)), (error) => {
      if (ofPrimary.has(error.reason)) return Effect.fail(error)
      primary.forget(host)
      return elsewhere
    })
    const beside = Effect.zipRight(Effect.sync(() => primary.doubt(host)), elsewhere)
    return Effect.raceFirst(there, Effect.delay(beside, patience))
  })

/** The first host whose server is of the kind that was asked for. */
const tryAll = Effect.fnUntraced(function*(opening: Opening) {
  const { config, memory: { primary } } = opening
  const user = (yield* credential(config, "user name", config.username)) ?? defaultUser()
  const password = config.password === undefined
    ? undefined
    : Redacted.value(yield* credential(config, "password", config.password))
  const isSearched = seeksPrimary(config) && config.hosts.length > 1
  const { connection, host, identity } = yield* (isSearched ? openPrimary : ask)(opening, { user, password })
  // Another opening may have seen a later timeline meanwhile.
  const stale = identity === undefined ? undefined : primary.refusal(config, host, identity)
  if (stale !== undefined) return yield* stale
  const before = primary.system
  primary.found(config, host, connection, identity)
  if (identity !== undefined && before !== undefined && before !== identity.system) {
    yield* Effect.logWarning(
      `The primary of database "${config.name}" belongs to another cluster than before: its system identifier is another one. ` +
        "That is right after an upgrade or a move; otherwise look at the addresses."
    ).pipe(Effect.annotateLogs({ database: config.name, server: place(host), system: identity.system, before }))
  }
  return connection
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
