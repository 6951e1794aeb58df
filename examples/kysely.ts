/**
 * Kysely builds the queries, dblive runs them: in the session of the fiber, with typed rows and typed errors.
 *
 *     npx tsx examples/kysely.ts
 *
 * Set `DATABASE_URL` to run it over PostgreSQL.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
// #region setup
import * as K from "kysely"
import { Db, DbError, DbLive } from "../src/index.js"

interface Tables {
  readonly kysely_person: { readonly id: K.Generated<number>; readonly name: string; readonly born: number | null }
}

/** Writes SQL for a database, and has no connection: `K.Sqlite...` and `K.Mysql...` are named alike. */
const pg = new K.Kysely<Tables>({
  dialect: {
    createAdapter: () => new K.PostgresAdapter(),
    createDriver: () => new K.DummyDriver(),
    createIntrospector: (db) => new K.PostgresIntrospector(db),
    createQueryCompiler: () => new K.PostgresQueryCompiler()
  }
})

/** A query's text, and its parameters. */
const compiled = <Row extends object>(query: K.Compilable<Row>) => {
  const { parameters, sql } = query.compile()
  // What may stand in a query is what its columns' types allow.
  return [sql, parameters as ReadonlyArray<Db.Param>] as const
}

const rows = <Row extends object>(query: K.Compilable<Row>) => Db.query<Row>(...compiled(query))
const row = <Row extends object>(query: K.Compilable<Row>) => Db.one<Row>(...compiled(query))
const execute = <Row extends object>(query: K.Compilable<Row>) => Db.execute<Row>(...compiled(query))
// #endregion

const sqlite = new K.Kysely<Tables>({
  dialect: {
    createAdapter: () => new K.SqliteAdapter(),
    createDriver: () => new K.DummyDriver(),
    createIntrospector: (db) => new K.SqliteIntrospector(db),
    createQueryCompiler: () => new K.SqliteQueryCompiler()
  }
})

/** A second database, by its name. */
class Archive extends Db.Tag("Archive")<Archive>() {}

const program = Effect.gen(function*() {
  // The same queries on both; a program with one database needs one `Kysely`.
  const db = yield* Effect.map(Db.sql, (sql) => sql.onDialectOrElse({ pg: () => pg, orElse: () => sqlite }))
  yield* execute(db.schema.dropTable("kysely_person").ifExists())
  yield* execute(
    db.schema.createTable("kysely_person")
      .addColumn("id", db === pg ? "serial" : "integer", (column) => column.primaryKey())
      .addColumn("name", "varchar(100)", (column) => column.notNull().unique())
      .addColumn("born", "integer")
  )

  // #region use
  const add = (name: string, born: number | null) =>
    row(db.insertInto("kysely_person").values({ name, born }).returning("id"))

  const bornBefore = (year: number) =>
    rows(db.selectFrom("kysely_person").select(["name", "born"]).where("born", "<", year).orderBy("born"))

  // A transaction holds the builder's queries and those of `Db` alike.
  yield* Effect.all([add("Ada", 1815), add("Grace", 1906), Db.query("SELECT 1")]).pipe(Db.transaction)
  const undone = yield* add("Barbara", 1939).pipe(
    Effect.zipRight(add("Ada", 1815)),
    Db.transaction,
    DbError.catchReason("UniqueViolation", (error) => Effect.succeed(`undone: ${error.reason}, ${error.outcome}`))
  )
  const { rowsAffected } = yield* execute(
    db.updateTable("kysely_person").set({ born: 1907 }).where("name", "=", "Grace")
  )
  // #endregion

  yield* Console.log(undone)
  yield* Console.log(`changed: ${rowsAffected}`)
  yield* Console.log((yield* bornBefore(2000)).map(({ born, name }) => `${name} ${born}`).join(", "))

  yield* Archive.query("CREATE TABLE kysely_person (id INTEGER PRIMARY KEY, name TEXT, born INTEGER)")
  // #region named
  const copied = sqlite.insertInto("kysely_person").values(yield* bornBefore(1900)).returning("name")
  const archived = yield* Archive.query(...compiled(copied))
  // #endregion
  yield* Console.log(`archived: ${archived.map(({ name }) => name).join()}`)
})

const Databases = Layer.merge(DbLive, Archive.layer({ url: "sqlite://:memory:" }))

program.pipe(Effect.provide(Databases), NodeRuntime.runMain)
