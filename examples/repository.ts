/**
 * A repository written once against `SqlClient`, used with two databases in one program: the default one and a named one.
 *
 *     npx tsx examples/repository.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Context, Effect, Layer } from "effect"
import { Db } from "../src/index.js"

/** A second database. */
class Archive extends Db.Tag("Archive")<Archive>() {}

interface Person {
  readonly name: string
  readonly year: number
}

/** Knows SQL, and no particular database: it uses the client of the session in which it is called. */
class People extends Context.Tag("People")<People, {
  readonly create: Effect.Effect<void, never, SqlClient.SqlClient>
  readonly add: (person: Person) => Effect.Effect<void, never, SqlClient.SqlClient>
  readonly bornBefore: (year: number) => Effect.Effect<ReadonlyArray<Person>, never, SqlClient.SqlClient>
}>() {
  static readonly live = Layer.succeed(People, {
    create: Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`CREATE TABLE person (name VARCHAR(100) NOT NULL, year INTEGER NOT NULL)`
    ).pipe(Effect.asVoid, Effect.orDie),
    add: (person) =>
      Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO person ${sql.insert({ ...person })}`).pipe(
        Effect.asVoid,
        Effect.orDie
      ),
    bornBefore: (year) =>
      Effect.flatMap(
        SqlClient.SqlClient,
        (sql) => sql<Person>`SELECT name, year FROM person WHERE year < ${year} ORDER BY year`
      ).pipe(Effect.orDie)
  })
}

const program = Effect.gen(function*() {
  const people = yield* People
  yield* people.create.pipe(Db.session)
  yield* people.create.pipe(Archive.session)

  yield* Effect.forEach(
    [{ name: "Ada", year: 1815 }, { name: "Grace", year: 1906 }, { name: "Barbara", year: 1939 }],
    people.add
  ).pipe(Db.transaction)

  // Read from one database, write to the other: each call runs on the database whose session it is in.
  const old = yield* people.bornBefore(1900).pipe(Db.session)
  yield* Effect.forEach(old, people.add).pipe(Archive.transaction)

  yield* Console.log("default:", (yield* people.bornBefore(2000).pipe(Db.session)).map((p) => p.name).join(", "))
  yield* Console.log("archive:", (yield* people.bornBefore(2000).pipe(Archive.session)).map((p) => p.name).join(", "))
})

program.pipe(
  Effect.provide([
    People.live,
    Db.layer({ url: "sqlite://:memory:" }),
    Archive.layer({ url: "sqlite://:memory:" })
  ]),
  NodeRuntime.runMain
)
