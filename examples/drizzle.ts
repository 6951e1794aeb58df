/**
 * Drizzle builds the queries and reads their rows, dblive runs them: in the session of the fiber, with typed errors.
 *
 *     npx tsx examples/drizzle.ts
 *
 * Set `DATABASE_URL` to run it over PostgreSQL.
 */
import { NodeRuntime } from "@effect/platform-node"
// #region runner
import { DrizzleQueryError } from "drizzle-orm"
import { Console, Effect, Runtime } from "effect"
import { Db, DbError, DbLive } from "../src/index.js"

type Answer = (text: string, params: Array<any>, method: string) => Promise<{ rows: Array<any> }>

/** Runs what is built with Drizzle, in the session of the fiber that asks; an interrupt stops the statement. */
const runner = <Self, Drizzle>(database: Db.Tag<Self>, make: (answer: Answer) => Drizzle) => {
  const answer = (text: string, params: Array<any>, method: string) =>
    Effect.gen(function*() {
      const { name, sql } = yield* database
      const statement = sql.unsafe(text, params)
      // Where Drizzle knows the columns it reads rows by their order.
      const rows: ReadonlyArray<any> = yield* (method === "execute" || method === "run" ? statement : statement.values)
        .pipe(Effect.mapError((error) => DbError.fromSqlError(error, name)))
      return { rows: method === "get" ? rows[0] : [...rows] }
    }).pipe(Effect.either)

  return <A>(use: (drizzle: Drizzle) => PromiseLike<A>): Effect.Effect<A, DbError.DbError, Self> =>
    Effect.flatMap(Effect.runtime<Self>(), (runtime) =>
      Effect.tryPromise({
        try: (signal) =>
          use(make(async (...asked) => {
            const answered = await Runtime.runPromise(runtime, answer(...asked), { signal })
            if (answered._tag === "Left") throw answered.left
            return answered.right
          })),
        // The text of Drizzle's own error has the values of parameters.
        catch: (error) => error instanceof DrizzleQueryError ? error.cause : error
      }).pipe(Effect.catchAll((error) => DbError.isDbError(error) ? Effect.fail(error) : Effect.die(error))))
}
// #endregion

// #region tables
import { eq, lt, relations } from "drizzle-orm"
import * as Pg from "drizzle-orm/pg-core"
import * as PgProxy from "drizzle-orm/pg-proxy"

const author = Pg.pgTable("drizzle_author", {
  id: Pg.serial().primaryKey(),
  name: Pg.text().notNull().unique(),
  born: Pg.timestamp({ withTimezone: true }).notNull()
})
const book = Pg.pgTable("drizzle_book", {
  title: Pg.text().notNull(),
  authorId: Pg.integer("author_id").notNull()
})
const booksOf = relations(author, ({ many }) => ({ books: many(book) }))
const authorOf = relations(book, ({ one }) => ({
  author: one(author, { fields: [book.authorId], references: [author.id] })
}))

const drizzle = runner(Db, (answer) => PgProxy.drizzle(answer, { schema: { author, book, booksOf, authorOf } }))
// #endregion

interface Author {
  readonly name: string
  readonly born: Date
}

interface Library {
  readonly add: (author: Author, titles: ReadonlyArray<string>) => Effect.Effect<void, DbError.DbError, Db>
  readonly bornBefore: (date: Date) => Effect.Effect<ReadonlyArray<Author>, DbError.DbError, Db>
  readonly titlesOf: (name: string) => Effect.Effect<ReadonlyArray<string> | undefined, DbError.DbError, Db>
}

// #region queries
const onPostgres: Library = {
  add: (values, titles) =>
    Effect.gen(function*() {
      const [added] = yield* drizzle((db) => db.insert(author).values(values).returning({ authorId: author.id }))
      yield* drizzle((db) => db.insert(book).values(titles.map((title) => ({ ...added!, title }))))
    }).pipe(Db.transaction),
  bornBefore: (date) => drizzle((db) => db.select().from(author).where(lt(author.born, date)).orderBy(author.born)),
  titlesOf: (name) =>
    drizzle((db) => db.query.author.findFirst({ where: eq(author.name, name), with: { books: true } })).pipe(
      Effect.map((found) => found?.books.map(({ title }) => title))
    )
}
// #endregion

/** The same for SQLite: tables, and what is built on them, are those of one database. */
import * as Sqlite from "drizzle-orm/sqlite-core"
import * as SqliteProxy from "drizzle-orm/sqlite-proxy"

const sqliteAuthor = Sqlite.sqliteTable("drizzle_author", {
  id: Sqlite.integer().primaryKey(),
  name: Sqlite.text().notNull().unique(),
  born: Sqlite.integer({ mode: "timestamp_ms" }).notNull()
})
const sqliteBook = Sqlite.sqliteTable("drizzle_book", {
  title: Sqlite.text().notNull(),
  authorId: Sqlite.integer("author_id").notNull()
})
const sqliteSchema = {
  author: sqliteAuthor,
  book: sqliteBook,
  booksOf: relations(sqliteAuthor, ({ many }) => ({ books: many(sqliteBook) })),
  authorOf: relations(sqliteBook, ({ one }) => ({
    author: one(sqliteAuthor, { fields: [sqliteBook.authorId], references: [sqliteAuthor.id] })
  }))
}

const drizzleOnSqlite = runner(Db, (answer) => SqliteProxy.drizzle(answer, { schema: sqliteSchema }))

const onSqlite: Library = {
  add: (values, titles) =>
    Effect.gen(function*() {
      const added = yield* drizzleOnSqlite((db) =>
        db.insert(sqliteAuthor).values(values).returning({ authorId: sqliteAuthor.id }).get()
      )
      yield* drizzleOnSqlite((db) => db.insert(sqliteBook).values(titles.map((title) => ({ ...added, title }))))
    }).pipe(Db.transaction),
  bornBefore: (date) =>
    drizzleOnSqlite((db) =>
      db.select().from(sqliteAuthor).where(lt(sqliteAuthor.born, date)).orderBy(sqliteAuthor.born)
    ),
  titlesOf: (name) =>
    drizzleOnSqlite((db) => db.query.author.findFirst({ where: eq(sqliteAuthor.name, name), with: { books: true } }))
      .pipe(Effect.map((found) => found?.books.map(({ title }) => title)))
}

const program = Effect.gen(function*() {
  const sql = yield* Db.sql
  const [library, id, date] = sql.onDialectOrElse({
    pg: () => [onPostgres, "serial", "timestamptz"] as const,
    orElse: () => [onSqlite, "integer", "integer"] as const
  })
  yield* Db.script(`
    DROP TABLE IF EXISTS drizzle_book;
    DROP TABLE IF EXISTS drizzle_author;
    CREATE TABLE drizzle_author (id ${id} PRIMARY KEY, name text NOT NULL UNIQUE, born ${date} NOT NULL);
    CREATE TABLE drizzle_book (title text NOT NULL, author_id integer NOT NULL)
  `)
  const ada = { name: "Ada", born: new Date("1815-12-10T00:00:00Z") }
  yield* library.add(ada, ["Sketch", "Notes"])
  // #region use
  const undone = yield* library.add({ name: "Grace", born: new Date("1906-12-09T00:00:00Z") }, ["Compilers"]).pipe(
    Effect.zipRight(library.add(ada, ["Letters"])),
    Db.transaction,
    DbError.catchReason("UniqueViolation", (error) => Effect.succeed(`undone: ${error.reason}, ${error.outcome}`))
  )
  // #endregion
  yield* Console.log(undone)
  const authors = yield* library.bornBefore(new Date())
  yield* Console.log(authors.map(({ born, name }) => `${name} ${born.getUTCFullYear()}`).join(", "))
  yield* Console.log(
    `of Ada: ${(yield* library.titlesOf("Ada"))?.join(", ")}; of Bob: ${yield* library.titlesOf("Bob")}`
  )
})

program.pipe(Effect.provide(DbLive), NodeRuntime.runMain)
