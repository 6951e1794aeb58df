/**
 * Drizzle builds the queries and reads their rows, on the client of this package: in the session of the fiber.
 *
 *     DATABASE_URL=postgres://user:password@localhost:5432/app npx tsx examples/drizzle.ts
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
// #region runner
import { makeWithDefaults } from "drizzle-orm/effect-postgres"
import * as Pg from "../src/driver/Pg.js"
import { Db, DbLive } from "../src/index.js"

/** Drizzle's database over PostgreSQL: its effects run where the fiber is, in a session, a transaction or none. */
const Database = DbLive.pipe(Pg.withClient)
// #endregion

// #region tables
import { defineRelations, eq, lt } from "drizzle-orm"
import { integer, pgTable, serial, text, timestamp } from "drizzle-orm/pg-core"

const author = pgTable("drizzle_author", {
  id: serial().primaryKey(),
  name: text().notNull().unique(),
  born: timestamp({ withTimezone: true }).notNull()
})
const book = pgTable("drizzle_book", {
  title: text().notNull(),
  authorId: integer("author_id").notNull()
})
const relations = defineRelations({ author, book }, (r) => ({
  author: { books: r.many.book({ from: r.author.id, to: r.book.authorId }) }
}))
// #endregion

interface Author {
  readonly name: string
  readonly born: Date
}

// #region queries
const add = (values: Author, titles: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const drizzle = yield* makeWithDefaults({ relations })
    const [added] = yield* drizzle.insert(author).values(values).returning({ authorId: author.id })
    yield* drizzle.insert(book).values(titles.map((title) => ({ ...added!, title })))
  }).pipe(Db.transaction)

const bornBefore = (date: Date) =>
  Effect.flatMap(
    makeWithDefaults({ relations }),
    (drizzle) => drizzle.select().from(author).where(lt(author.born, date)).orderBy(author.born)
  )

const titlesOf = (name: string) =>
  Effect.flatMap(
    makeWithDefaults({ relations }),
    (drizzle) => drizzle.query.author.findFirst({ where: { name }, with: { books: true } })
  ).pipe(
    Effect.map((found) => found?.books.map(({ title }) => title))
  )
// #endregion

const program = Effect.gen(function*() {
  yield* Db.script(`
    DROP TABLE IF EXISTS drizzle_book;
    DROP TABLE IF EXISTS drizzle_author;
    CREATE TABLE drizzle_author (id serial PRIMARY KEY, name text NOT NULL UNIQUE, born timestamptz NOT NULL);
    CREATE TABLE drizzle_book (title text NOT NULL, author_id integer NOT NULL)
  `)
  const ada = { name: "Ada", born: new Date("1815-12-10T00:00:00Z") }
  yield* add(ada, ["Sketch", "Notes"])
  // #region use
  const undone = yield* add({ name: "Grace", born: new Date("1906-12-09T00:00:00Z") }, ["Compilers"]).pipe(
    Effect.andThen(add(ada, ["Letters"])),
    Db.transaction,
    Effect.match({ onFailure: (error) => `undone: ${error._tag}`, onSuccess: () => "done" })
  )
  // #endregion
  yield* Console.log(undone)
  const drizzle = yield* makeWithDefaults({ relations })
  yield* drizzle.update(author).set({ name: "Ada Lovelace" }).where(eq(author.name, "Ada"))
  yield* Console.log(
    (yield* bornBefore(new Date())).map(({ born, name }) => `${name} ${born.getUTCFullYear()}`).join(", ")
  )
  yield* Console.log(`of Ada: ${(yield* titlesOf("Ada Lovelace"))?.join(", ")}; of Bob: ${yield* titlesOf("Bob")}`)
})

program.pipe(Effect.provide(Layer.orDie(Database)), NodeRuntime.runMain)
