/**
 * What the members of a tag need (`R`) and how they can fail (`E`), and what must not compile. Checked by the compiler
 * (`npm run check`), which fails on an expectation that is not met; that this file runs shows that it is not forgotten.
 */
import type { HttpServerResponse } from "@effect/platform"
import { SqlClient, type SqlError } from "@effect/sql"
import type { PgClient } from "@effect/sql-pg/PgClient"
import { assert, describe, it } from "@effect/vitest"
import type { Config, ConfigError, Effect, Layer, Option, ParseResult, Redacted, Scope } from "effect"
import { Config as Configured, Effect as Program, Schema } from "effect"
import type { Typed } from "../../src/Db.js"
import * as DbHttp from "../../src/DbHttp.js"
import * as Mssql from "../../src/driver/Mssql.js"
import * as Mysql from "../../src/driver/Mysql.js"
import * as Pg from "../../src/driver/Pg.js"
import * as Sqlite from "../../src/driver/Sqlite.js"
import type { DbConfig, DbHealth, DbMetrics } from "../../src/index.js"
import { Db, type DbError, DbLive, DbRegistry, DbRetry } from "../../src/index.js"

class Noted extends Schema.Class<Noted>("Noted")({ n: Schema.Number }) {}

declare const sql: SqlClient.SqlClient
declare const needing: Schema.Schema<string, string, SurveyHub>

class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
class Reports extends Db.Tag("Reports")<Reports, "read-only">() {}
declare const writable: DbConfig.Options

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

/** Accepts an effect whose `A`, `E` and `R` are exactly these. */
const exactly = <A, E, R>() =>
<A2, E2, R2>(
  _:
    & Effect.Effect<A2, E2, R2>
    & ([Same<A, A2>, Same<E, E2>, Same<R, R2>] extends [true, true, true] ? unknown
      : { readonly "is not": [A, E, R] })
) => undefined

/** Accepts a layer whose output, `E` and input are exactly these. */
const exactLayer = <Out, E, In>() =>
<Out2, E2, In2>(
  _:
    & Layer.Layer<Out2, E2, In2>
    & ([Same<Out, Out2>, Same<E, E2>, Same<In, In2>] extends [true, true, true] ? unknown
      : { readonly "is not": [Out, E, In] })
) => undefined

declare const statement: Effect.Effect<ReadonlyArray<string>, SqlError.SqlError, SqlClient.SqlClient>
declare const business: Effect.Effect<number, "no money" | SqlError.SqlError, SqlClient.SqlClient | Scope.Scope>
declare const moneyless: Effect.Effect<number, "no money">
declare const url: Config.Config<Redacted.Redacted>

type Row = Readonly<Record<string, unknown>>
type LayerError = DbError.DbError | ConfigError.ConfigError

/** Never called: it is read by the compiler only. */
export const faces = () => {
  // A read is as a transaction; a token can fail, and what is given one.
  exactly<ReadonlyArray<string>, DbError.DbError, Db>()(statement.pipe(Db.read, Db.retry))
  exactly<number, "no money" | DbError.DbError, Db | Scope.Scope>()(Db.read(business, { staleness: "2 seconds" }))
  exactly<ReadonlyArray<string>, DbError.DbError, SurveyHub>()(
    statement.pipe(SurveyHub.read({ isolation: "snapshot" }))
  )
  exactly<string | undefined, DbError.DbError, Db>()(Db.token)
  exactly<number, "no money" | DbError.DbError, Db>()(Db.withToken(moneyless, "16/B374D848"))
  exactly<number, "no money" | DbError.DbError, Db>()(moneyless.pipe(Db.withToken(undefined)))
  // @ts-expect-error -- It writes: that is no option of a read.
  Db.read({ readOnly: false })
  // A database that is only read has the members that read, and no other; its layers are told so.
  exactly<ReadonlyArray<Row>, DbError.DbError, Reports>()(Reports.query("SELECT 1"))
  exactly<ReadonlyArray<string>, DbError.DbError, Reports>()(statement.pipe(Reports.read, Reports.retry))
  exactly<ReadonlyArray<string>, DbError.DbError, Reports>()(statement.pipe(Reports.session))
  exactly<DbHealth.Report, never, Reports>()(Reports.health)
  exactLayer<Reports | DbMetrics.DbMetrics, LayerError, never>()(Reports.layer({ access: "read-only" }))
  exactLayer<Reports | DbMetrics.DbMetrics, LayerError, never>()(
    Reports.layerConfig({ url, access: Configured.succeed("read-only" as const) })
  )
  // @ts-expect-error it may write
  Reports.transaction(statement)
  // @ts-expect-error it writes
  Reports.execute("DELETE FROM note")
  // @ts-expect-error it may write
  Reports.script("DELETE FROM note; DELETE FROM other")
  // @ts-expect-error it may write
  Reports.batch([["DELETE FROM note"]])
  // @ts-expect-error The environment may say otherwise.
  exactLayer<Reports, LayerError, never>()(Reports.layerEnv)
  // @ts-expect-error it has to be said
  Reports.layer({ url: "sqlite://:memory:" })
  // @ts-expect-error it has to be that
  Reports.layer({ access: "read-write" })
  // @ts-expect-error it has to be known
  Reports.layer(writable)
  // A function that only reads takes both kinds.
  const reading = <Self>(database: Db.ReadOnlyTag<Self>) => database.query("SELECT 1")
  exactly<ReadonlyArray<Row>, DbError.DbError, Reports>()(reading(Reports))
  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(reading(Db))
  // @ts-expect-error One that writes does not.
  const written = <Self>(database: Db.Tag<Self>) => database.query("SELECT 1"), _ = written(Reports)
  // The client is provided, the database is needed, SqlError becomes one of the three; what else there is stays.
  exactly<ReadonlyArray<string>, DbError.DbError, Db>()(statement.pipe(Db.session))
  exactly<number, "no money" | DbError.DbError, Db | Scope.Scope>()(business.pipe(Db.session))
  exactly<number, "no money" | DbError.DbError, Db | Scope.Scope>()(business.pipe(Db.transaction))
  exactly<ReadonlyArray<string>, DbError.DbError, SurveyHub>()(
    statement.pipe(SurveyHub.transaction({ readOnly: true }))
  )
  exactly<number, DbError.DbError, Db | SurveyHub>()(
    statement.pipe(SurveyHub.session, Program.as(1), Db.transaction)
  )

  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(Db.query("SELECT 1"))
  exactly<Row, DbError.DbError, Db>()(Db.one("SELECT 1"))
  exactly<Option.Option<Row>, DbError.DbError, Db>()(Db.option("SELECT 1"))
  exactly<unknown, DbError.DbError, Db>()(Db.scalar("SELECT 1"))
  exactly<number, DbError.DbError, Db>()(Db.scalar<number>("SELECT 1"))
  exactly<Db.StatementResult<Row>, DbError.DbError, Db>()(Db.execute("SELECT 1"))
  type Decoded = DbError.DbError | ParseResult.ParseError
  exactly<ReadonlyArray<Noted>, Decoded, Db>()(Db.query("SELECT 1", {}, { schema: Noted }))
  exactly<Noted, Decoded, Db>()(Db.one("SELECT 1", undefined, { schema: Noted, timeout: "1 second" }))
  exactly<Option.Option<Noted>, Decoded, SurveyHub>()(SurveyHub.option("SELECT 1", {}, { schema: Noted }))
  exactly<Db.StatementResult<Noted>, Decoded, Db>()(Db.execute("SELECT 1", {}, { schema: Noted }))
  exactly<Date, Decoded, Db>()(Db.scalar("SELECT 1", {}, { schema: Schema.DateFromString }))
  // What a schema requires is required.
  exactly<string, Decoded, Db | SurveyHub>()(Db.scalar("SELECT 1", {}, { schema: needing }))
  const noted = sql<Noted>`SELECT 1`
  exactly<ReadonlyArray<Noted>, DbError.DbError, Db>()(Db.query(noted))
  exactly<Noted, DbError.DbError, Db>()(Db.one(noted, { timeout: "1 second" }))
  exactly<Noted, Decoded, Db>()(Db.one(sql`SELECT 1`, { schema: Noted }))
  exactly<unknown, DbError.DbError, Db>()(Db.scalar(noted))
  exactly<ReadonlyArray<{ readonly n: number }>, DbError.DbError, Db>()(
    Db.query<{ readonly n: number }>("SELECT 1 AS n")
  )
  exactly<ReadonlyArray<ReadonlyArray<Row>>, DbError.DbError, Db>()(Db.batch([["SELECT 1"]]))
  exactly<ReadonlyArray<string>, DbError.DbError, Db>()(statement.pipe(Db.transaction, Db.retry))
  exactly<"done", "wrong", Db>()(
    Program.filterOrFail(Program.succeed("done" as const), () => true, () => "wrong" as const).pipe(
      Db.retry({ idempotent: true })
    )
  )
  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(Db.query("SELECT 1").pipe(Db.withTimeout("1 second")))
  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(Db.query("SELECT 1").pipe(Db.withLimits({ statementTimeout: 0 })))

  exactly<SqlClient.SqlClient, never, SurveyHub>()(SurveyHub.sql)
  exactly<DbHealth.Report, never, Db>()(Db.health)
  exactly<boolean, never, Db>()(Db.ping)
  exactly<DbMetrics.Snapshot, never, Db>()(Db.metrics)

  const manual = Program.gen(function*() {
    const session = yield* Db.reserve
    yield* session.begin({ isolation: "serializable" })
    yield* session.use(business)
    yield* session.commit
  })
  exactly<void, "no money" | DbError.DbError, Db | Scope.Scope>()(manual)

  // The default database's layers provide SqlClient, a named one's must not.
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics, LayerError, never>()(DbLive)
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics, LayerError, never>()(
    Db.layer({ url: "sqlite://:memory:" })
  )
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics, LayerError, never>()(Db.layerConfig({ url }))
  exactLayer<SurveyHub | DbMetrics.DbMetrics, LayerError, never>()(SurveyHub.layerEnv)
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics | PgClient, LayerError, never>()(DbLive.pipe(Pg.withClient))
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics | Sqlite.SqliteClient, LayerError, never>()(
    DbLive.pipe(Sqlite.withClient)
  )
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics | Mysql.MysqlClient, LayerError, never>()(
    DbLive.pipe(Mysql.withClient)
  )
  exactLayer<Db | SqlClient.SqlClient | DbMetrics.DbMetrics | Mssql.MssqlClient, LayerError, never>()(
    DbLive.pipe(Mssql.withClient)
  )
  // The drivers that are given are of the type that has a name.
  const given: ReadonlyArray<Db.MakeDriver> = [Pg.make, Sqlite.make, Mysql.make, Mssql.make]
  exactLayer<SurveyHub | DbMetrics.DbMetrics, LayerError, never>()(SurveyHub.layerDriver({}, given[0] ?? Pg.make))
}

const options: Db.TransactionOptions = { readOnly: true }
const limits = { statementTimeout: "1 minute" } as const

/** Each form of what takes an effect and options: in a pipe and with the effect first, without options where none are needed. */
export const forms = () => {
  type Business = "no money" | DbError.DbError
  exactly<number, Business, Db | Scope.Scope>()(business.pipe(Db.session))
  exactly<number, Business, Db | Scope.Scope>()(Db.session(business))

  exactly<number, Business, Db | Scope.Scope>()(business.pipe(Db.transaction))
  exactly<number, Business, Db | Scope.Scope>()(Db.transaction(business))
  exactly<number, Business, Db | Scope.Scope>()(Db.transaction({ isolation: "serializable" })(business))
  exactly<number, Business, Db | Scope.Scope>()(business.pipe(Db.transaction({ retry: DbRetry.conflicts })))
  exactly<number, Business, Db | Scope.Scope>()(Db.transaction(business, { isolation: "serializable" }))
  exactly<number, Business, Db | Scope.Scope>()(Db.transaction(business, options))
  exactly<number, Business, Db | Scope.Scope>()(business.pipe(Db.transaction(options)))
  exactly<number, Business, SurveyHub | Scope.Scope>()(business.pipe(SurveyHub.transaction))
  exactly<number, Business, SurveyHub | Scope.Scope>()(SurveyHub.transaction(business, options))

  const whole = Db.transaction(business)
  exactly<number, Business, Db | Scope.Scope>()(whole.pipe(Db.retry))
  exactly<number, Business, Db | Scope.Scope>()(Db.retry(whole))
  exactly<number, Business, Db | Scope.Scope>()(Db.retry(DbRetry.conflicts)(whole))
  exactly<number, Business, Db | Scope.Scope>()(Db.retry(whole, DbRetry.conflicts))
  exactly<number, Business, Db | Scope.Scope>()(whole.pipe(Db.retry(DbRetry.conflicts), Db.retry, Db.retry))
  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(Db.retry({ idempotent: true })(Db.query("SELECT 1")))
  exactly<ReadonlyArray<Row>, DbError.DbError, Db>()(Db.retry(Db.query("SELECT 1"), { idempotent: true }))
  exactly<ReadonlyArray<Row>, DbError.DbError, Db | SurveyHub>()(
    Db.query("SELECT 1").pipe(SurveyHub.retry({ idempotent: true, schedule: DbRetry.transient }))
  )

  exactly<number, "no money" | SqlError.SqlError, SqlClient.SqlClient | Scope.Scope>()(
    Db.withTimeout(business, "1 second")
  )
  exactly<number, "no money" | SqlError.SqlError, SqlClient.SqlClient | Scope.Scope>()(
    Db.withTimeout("1 second")(business)
  )
  exactly<number, "no money" | SqlError.SqlError, SqlClient.SqlClient | Scope.Scope>()(
    Db.withLimits(business, limits)
  )
  exactly<number, "no money" | SqlError.SqlError, SqlClient.SqlClient | Scope.Scope>()(
    Db.withLimits(limits)(business)
  )

  const count = Db.query<{ readonly n: number }>("SELECT 1 AS n")
  exactly<ReadonlyArray<{ readonly n: number }>, DbRegistry.OpenError, DbRegistry.DbRegistry>()(
    count.pipe(DbRegistry.use("north"))
  )
  exactly<ReadonlyArray<{ readonly n: number }>, DbRegistry.OpenError, DbRegistry.DbRegistry>()(
    DbRegistry.use(count, "north")
  )

  type Answered = HttpServerResponse.HttpServerResponse
  exactly<Answered, "wrong", SurveyHub | Scope.Scope>()(handler.pipe(DbHttp.withTransaction(SurveyHub)))
  exactly<Answered, "wrong", Db | Scope.Scope>()(handler.pipe(DbHttp.withTransaction(Db, options)))
  exactly<Answered, "wrong", SurveyHub | Scope.Scope>()(DbHttp.withTransaction(handler, SurveyHub))
  exactly<Answered, "wrong", Db | Scope.Scope>()(DbHttp.withTransaction(handler, Db, { maxStream: 1 }))
  exactly<Answered, "wrong", SurveyHub | Scope.Scope>()(handler.pipe(DbHttp.withSession(SurveyHub)))
  exactly<Answered, "wrong", Db | Scope.Scope>()(DbHttp.withSession(handler, Db))
}

declare const handler: Effect.Effect<
  HttpServerResponse.HttpServerResponse,
  "wrong" | SqlError.SqlError,
  SqlClient.SqlClient | Scope.Scope
>

/** Around an effect of any type, and of any database. */
export const generic = {
  piped: <A, E, R>(effect: Effect.Effect<A, E, R>): Db.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Db> =>
    effect.pipe(Db.transaction, Db.retry),
  first: <A, E, R>(effect: Effect.Effect<A, E, R>): Db.Atomic<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Db> =>
    Db.retry(Db.transaction(effect, options), DbRetry.conflicts),
  of: <Self, A, E, R>(
    tag: Db.Tag<Self>,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, Typed<E>, Exclude<R, SqlClient.SqlClient> | Self> => effect.pipe(tag.transaction, tag.retry)
}

export const refusedForms = () => {
  // @ts-expect-error neither an effect nor options
  Db.transaction()
  // @ts-expect-error no option of a transaction
  Db.transaction({ isolatoin: "serializable" })
  // @ts-expect-error nor beside an effect
  Db.transaction(business, { isolatoin: "serializable" })
  // @ts-expect-error no isolation level, beside an effect
  Db.transaction(business, { isolation: "very high" })
  // @ts-expect-error neither an effect nor a schedule
  Db.retry()
  // @ts-expect-error a statement may have been applied although its answer was lost
  Db.retry(business, DbRetry.conflicts)
  // @ts-expect-error the same without a schedule
  Db.retry(business)
  // @ts-expect-error to be declared it has to be true
  Db.retry(business, { idempotent: false })
  // @ts-expect-error no option of a retry
  Db.retry(business, { idempotent: true, shedule: DbRetry.conflicts })
  // @ts-expect-error nor in a pipe
  business.pipe(Db.retry({ idempotent: true, shedule: DbRetry.conflicts }))
  // @ts-expect-error a length of time has a unit
  Db.withTimeout(business, "5")
  // @ts-expect-error no limit of a statement
  Db.withLimits(business, { acquireTimeout: 0 })
  // @ts-expect-error an effect that is no handler
  DbHttp.withTransaction(business, Db)
  // @ts-expect-error no database
  DbHttp.withSession(handler, business)
}

/** What users can write down: the types of members under `Db`, without another import. */
export const named = {
  options: { isolation: "serializable", retry: DbRetry.conflicts, timeout: "1 second" } satisfies Db.TransactionOptions,
  isolation: "snapshot" satisfies Db.IsolationLevel,
  manual: (session: Db.Session) => Program.zipRight(session.begin({ isolation: "serializable" }), session.commit),
  handle: (): Program.Effect<Db.Session, DbError.DbError, Db | Scope.Scope> => Db.reserve,
  ask: (text: string, params?: Db.Params, options?: Db.QueryOptions) => Db.query(text, params, options),
  whole: (): Db.Atomic<ReadonlyArray<Row>, DbError.DbError, Db> => Db.query("SELECT 1").pipe(Db.transaction),
  again: (effect: Db.Atomic<number, "wrong", Db>) => effect.pipe(Db.retry),
  sql: (database: Db.Database) => database.sql,
  count: <Self>(tag: Db.Tag<Self>): Program.Effect<ReadonlyArray<{ readonly n: number }>, DbError.DbError, Self> =>
    tag.query<{ readonly n: number }>("SELECT count(*) AS n FROM note")
}

export const namedOf = () => {
  exactly<ReadonlyArray<{ readonly n: number }>, DbError.DbError, SurveyHub>()(named.count(SurveyHub))
  exactly<ReadonlyArray<{ readonly n: number }>, DbError.DbError, Db>()(named.count(Db))
  named.sql(null as unknown as Effect.Effect.Success<typeof Db>)
  // @ts-expect-error a session takes no retry: it cannot run again what its user did
  named.manual(null as unknown as Db.Session).pipe(Db.retry)
  // @ts-expect-error no option of a statement
  named.ask("SELECT 1", [], { retry: DbRetry.conflicts })
}

/** Runs what needs nothing any more. */
declare const run: <A, E>(effect: Effect.Effect<A, E>) => void

export const refused = () => {
  run(Db.query("SELECT 1").pipe(Program.provide(DbLive)))
  run(SurveyHub.query("SELECT 1").pipe(Program.provide(SurveyHub.layerEnv)))

  // @ts-expect-error nothing provides the database
  run(Db.query("SELECT 1"))
  // @ts-expect-error another database is provided
  run(SurveyHub.query("SELECT 1").pipe(Program.provide(DbLive)))
  // @ts-expect-error one of two is provided
  run(statement.pipe(SurveyHub.session, Program.zipRight(Db.query("SELECT 1")), Program.provide(DbLive)))
  // @ts-expect-error a named database gives no SqlClient: the statement would not know which database is meant
  run(statement.pipe(Program.provide(SurveyHub.layerEnv)))
  // @ts-expect-error a session in hand ends with a scope
  run(Db.reserve.pipe(Program.provide(DbLive)))
  // @ts-expect-error no isolation level of any database
  statement.pipe(Db.transaction({ isolation: "very high" }))
  // @ts-expect-error a length of time has a unit
  Db.query("SELECT 1", [], { timeout: "5" })
  interface Settings {
    readonly theme: string
  }
  const settings: Settings = { theme: "dark" }
  const words: Record<string, string> = { a: "b" }
  const anything: { readonly [key: string]: unknown } = words
  Db.query("SELECT :a", { a: settings })
  Db.query("SELECT :a, :b", { a: words, b: anything })
  Db.query("SELECT :a, :b, :c, :d", { a: new Date(0), b: new Uint8Array(1), c: 1n, d: null })
  Db.query("SELECT :a", { a: [1, "b", [null]] })
  Db.query("SELECT $1", [settings, Buffer.alloc(1), true])
  Db.batch([["SELECT :a", { a: 1 }], ["SELECT 1"]])
  // @ts-expect-error no database has functions
  Db.query("SELECT :a", { a: () => 1 })
  // @ts-expect-error nor in a batch
  Db.batch([["SELECT :a", { a: () => 1 }]])
  // @ts-expect-error nor by its place
  Db.query("SELECT $1", [() => 1])
  // @ts-expect-error nor in a list
  Db.query("SELECT :a", { a: [() => 1] })
  // @ts-expect-error nor symbols
  Db.query("SELECT :a", { a: Symbol("a") })
  // @ts-expect-error nor undefined: a missing value is null
  Db.query("SELECT :a", { a: undefined })
  // @ts-expect-error nor promises
  Db.query("SELECT :a", { a: Promise.resolve(1) })
  // @ts-expect-error nor collections
  Db.query("SELECT :a", { a: new Map<string, number>() })
  // @ts-expect-error nor effects
  Db.query("SELECT :a", { a: Program.succeed(1) })
  // @ts-expect-error nor secrets: the value has to be taken out first
  Db.query("SELECT :a", { a: null as unknown as Redacted.Redacted })
  // @ts-expect-error nor expressions
  Db.query("SELECT :a", { a: /a/ })
  // @ts-expect-error no option of a layer
  Db.layer({ ulr: "sqlite://:memory:" })
  // @ts-expect-error a row is an object
  Db.query<number>("SELECT 1")
  // @ts-expect-error the registry stands for Db, not for a tag of another name
  run(SurveyHub.query("SELECT 1").pipe(DbRegistry.use("survey_hub"), Program.provide(DbRegistry.layerEnv)))
  // @ts-expect-error a failure of the database is not handled by catching SqlError: there is none left
  Db.query("SELECT 1").pipe(Program.catchTag("SqlError", () => Program.void))
}

describe("the types of the public face", () => {
  it("are checked by the compiler", () => {
    assert.isFunction(faces)
    assert.isFunction(forms)
    assert.isFunction(refused)
    assert.isFunction(refusedForms)
    assert.isFunction(SqlClient.make)
  })
})
