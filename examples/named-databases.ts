/**
 * Several databases in one program: those it knows by name are tags, those it learns at run time come from the registry.
 *
 *     npx tsx examples/named-databases.ts
 *
 * Set `DATABASE_URL`, `SURVEY_HUB_DATABASE_URL`, `NORTH_DATABASE_URL` or `SOUTH_DATABASE_URL` to run any of them elsewhere.
 */
import { NodeRuntime } from "@effect/platform-node"
import { SqlClient } from "@effect/sql"
import { Console, Effect, Layer } from "effect"
// #region import
import { Db, DbLive, DbRegistry } from "../src/index.js"
// #endregion

// #region tag
/** A database the program knows by name: the types say what needs it. */
class SurveyHub extends Db.Tag("SurveyHub")<SurveyHub>() {}
// #endregion

interface Answer {
  readonly question: string
  readonly answer: number
}

const createTable = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql`CREATE TABLE IF NOT EXISTS answer (question VARCHAR(100) NOT NULL, answer INTEGER NOT NULL)`
)

const add = (answer: Answer) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql`INSERT INTO answer ${sql.insert({ ...answer })}`)

const all = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) => sql<Answer>`SELECT question, answer FROM answer ORDER BY question`
)

const show = (answers: ReadonlyArray<Answer>) => answers.map((_) => `${_.question}=${_.answer}`).join(", ") || "nothing"

const copy = Effect.gen(function*() {
  yield* Effect.all([createTable.pipe(Db.session), createTable.pipe(SurveyHub.session)])
  yield* Effect.forEach([{ question: "age", answer: 42 }, { question: "pets", answer: 3 }], add).pipe(
    SurveyHub.transaction
  )

  // #region both
  // Each call runs on the database whose session it is in. A transaction of one knows nothing of the others'.
  const answers = yield* all.pipe(SurveyHub.session)
  yield* Effect.forEach(answers, add).pipe(Db.transaction)
  // #endregion
  yield* Console.log("copied to the default database:", show(yield* all.pipe(Db.session)))

  const undone = yield* add({ question: "pets", answer: 4 }).pipe(
    SurveyHub.transaction,
    Effect.zipRight(add({ question: "pets", answer: 4 })),
    Effect.zipRight(Effect.fail("changed my mind")),
    Db.transaction,
    Effect.flip
  )
  yield* Console.log(`${undone}: ${(yield* all.pipe(Db.session)).length} answers in the default database,`)
  yield* Console.log(
    `and ${(yield* all.pipe(SurveyHub.session)).length} in the hub, whose transaction had ended before`
  )
})

// #region registry
/** An effect that needs `Db` runs on whichever database the registry has under a name. */
const perRegion = Effect.gen(function*() {
  yield* Console.log("configured:", (yield* DbRegistry.names).join(", "))

  for (const region of ["north", "south"]) {
    yield* createTable.pipe(
      Effect.zipRight(add({ question: region, answer: 1 })),
      Db.transaction,
      DbRegistry.use(region)
    )
  }
  yield* Console.log("north has", show(yield* all.pipe(DbRegistry.use("north"))))

  const { message } = yield* Effect.flip(DbRegistry.use("nort")(Db.info))
  yield* Console.log(message)

  const health = yield* DbRegistry.health
  yield* Console.log("health:", Object.values(health).map((_) => `${_.databaseName} ${_.status}`).join(", "))
})
// #endregion

/** What an environment file would say; real variables win. */
for (const name of ["DATABASE_URL", "SURVEY_HUB_DATABASE_URL", "NORTH_DATABASE_URL", "SOUTH_DATABASE_URL"]) {
  process.env[name] ??= "sqlite://:memory:"
}

const program = Effect.all([copy, perRegion])

program.pipe(
  // #region provide
  Effect.provide(Layer.mergeAll(DbLive, SurveyHub.layerEnv, DbRegistry.layerEnv)), // SURVEY_HUB_DATABASE_URL, NORTH_DATABASE_URL, ...
  // #endregion
  NodeRuntime.runMain
)
