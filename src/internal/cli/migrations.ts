/**
 * The commands about migrations.
 */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Prompt from "@effect/cli/Prompt"
import * as Effect from "effect/Effect"
import * as DbMigrator from "../../DbMigrator.js"
import { begun, end, folderOf, migratorOptions, plural } from "./command.js"
import { open } from "./database.js"
import { type Course, follow } from "./interrupted.js"
import * as options from "./options.js"
import * as Progress from "./progress.js"
import { Answer, ending, exitCodes, UsageError } from "./report.js"
import { type Look, onOutput } from "./style.js"
import { elapsed, table } from "./text.js"

const screen: Progress.Screen = {
  get isTTY() {
    return process.stderr.isTTY === true
  },
  get columns() {
    return process.stderr.columns ?? 80
  },
  write: (text) => {
    process.stderr.write(text)
  }
}

/** Asks before something is taken away. Where there is no terminal to answer at, `--yes` has to. */
const confirmed = (given: { readonly yes: boolean; readonly json: boolean }, question: string) =>
  Effect.gen(function*() {
    if (given.yes) {
      return
    }
    if (given.json || process.stdin.isTTY !== true) {
      return yield* Effect.fail(
        new UsageError(`this asks before it acts, and there is no terminal to answer at: add --yes (${question})`)
      )
    }
    const isYes = yield* Effect.orElseSucceed(Prompt.confirm({ message: question, initial: false }), () => false)
    if (!isYes) {
      return yield* Effect.fail(new Answer(exitCodes.failed, "nothing was changed"))
    }
  })

const at = (version: string | undefined): string => version === undefined ? "no version yet" : `version ${version}`

const appliedLines = (applied: ReadonlyArray<DbMigrator.Applied>): Array<string> =>
  // Elsewhere each line was written when it happened; a bar leaves nothing behind.
  screen.isTTY && applied.length <= 50 ? applied.map(({ millis, script }) => `${script} (${elapsed(millis)})`) : []

/** Events for the course, and for the screen where there is one. */
const heard = (wantsJson: boolean, course: Course) =>
  Effect.map(
    wantsJson ? Effect.succeed(() => Effect.void) : Progress.make(screen),
    (show) => (event: DbMigrator.MigrationEvent) =>
      Effect.suspend(() => {
        course.hear(event)
        return show(event)
      })
  )

/** `dblive migrate` */
export const migrate = Command.make(
  "migrate",
  { ...options.running, target: options.upTo },
  (given) => {
    const opened = open(given)
    const { layer, tag } = opened
    const course = follow(opened, given, "migrate")
    const began = Date.now()
    return begun(given).pipe(
      Effect.zipRight(Effect.gen(function*() {
        const onEvent = yield* heard(given.json, course)
        return yield* Effect.provide(DbMigrator.run(tag, { ...migratorOptions(given), onEvent }), layer)
      })),
      Effect.scoped,
      (work) =>
        ending(work, {
          json: given.json,
          undone: course.undone,
          toJson: (result) => result,
          show: ({ applied, current }) =>
            applied.length === 0
              ? `nothing to do: ${at(current)}`
              : [
                ...appliedLines(applied),
                `applied ${plural(applied.length, "migration")} in ${elapsed(Date.now() - began)}: ${at(current)}`
              ].join("\n")
        }),
      end
    )
  }
).pipe(Command.withDescription(
  "Apply what is pending, in the order of versions. Each migration is a transaction together with its history row; ten instances may start this at once. Exits with 3 when the files are not what the history says: nothing was run then."
))

/** How the states of migrations look. */
const looks: Readonly<Record<string, Look>> = {
  success: "good",
  pending: "warning",
  outdated: "warning",
  changed: "error",
  failed: "error",
  missing: "error",
  ignored: "error"
}

/** What to do next, in one line for each kind of problem. */
const nextSteps = (problems: ReadonlyArray<DbMigrator.Problem>, pending: number): ReadonlyArray<string> => {
  const steps = problems.length === 0
    ? pending === 0 ? [] : ["run `dblive migrate`"]
    : [...new Set(problems.map(({ reason }) => DbMigrator.migrationReasons[reason].advice))]
  return steps.length === 0 ? [] : ["", ...steps.map((step) => `${onOutput("heading", "next:")} ${step}`)]
}

/** `dblive status` */
export const status = Command.make("status", options.history, (given) => {
  const { layer, tag } = open(given)
  return begun(given).pipe(
    Effect.zipRight(Effect.provide(DbMigrator.status(tag, migratorOptions(given)), layer)),
    (work) =>
      ending(work, {
        json: given.json,
        code: (state) =>
          state.pending.length > 0 || state.problems.length > 0 ? exitCodes.pendingOrInvalid : exitCodes.done,
        toJson: ({ current, migrations, pending, problems }) => ({
          current,
          migrations,
          pending: pending.map(({ script }) => script),
          problems
        }),
        show: ({ current, migrations, pending, problems }) =>
          [
            `${given.database}: ${at(current)}, ${plural(pending.length, "migration")} pending`,
            ...(migrations.length === 0 ? [] : [
              "",
              table(
                ["Version", "Description", "State", "Installed on", "By", "Took", "Undo"],
                migrations.map((info) => [
                  info.version ?? "",
                  info.description,
                  info.state,
                  info.installedOn?.slice(0, 19).replace("T", " "),
                  info.installedBy,
                  info.executionTime === undefined ? "" : elapsed(info.executionTime),
                  info.undoable ? "yes" : ""
                ]),
                (heading, text) => heading === "State" ? looks[text] : undefined
              )
            ]),
            ...(problems.length === 0 ? [] : [
              "",
              `${plural(problems.length, "problem")}:`,
              ...problems.map((problem) => `- ${problem.script}: ${problem.message}`)
            ]),
            ...nextSteps(problems, pending.length)
          ].join("\n")
      }),
    end
  )
}).pipe(Command.withDescription(
  "The current version, and the state of each migration. Changes nothing. Exits with 3 when something is pending or invalid."
))

/** `dblive plan` */
export const plan = Command.make("plan", { ...options.history, target: options.upTo }, (given) => {
  const { layer, tag } = open(given)
  return begun(given).pipe(
    Effect.zipRight(Effect.provide(DbMigrator.plan(tag, migratorOptions(given)), layer)),
    (work) =>
      ending(work, {
        json: given.json,
        toJson: (planned) => ({ migrations: planned }),
        show: (planned) =>
          planned.length === 0 ? "-- nothing to do" : planned.map((migration) =>
            [
              `-- ${migration.script}${migration.transaction ? "" : " (without a transaction)"}`,
              ...(migration.statements === undefined
                ? ["-- not shown: it is code, or too large"]
                : migration.statements.map(({ text }) => `${text};`))
            ].join("\n")
          ).join("\n\n")
      }),
    end
  )
}).pipe(Command.withDescription("The SQL that migrate would run, placeholders filled in. Changes nothing."))

/** `dblive validate` */
export const validate = Command.make("validate", options.history, (given) => {
  const { layer, tag } = open(given)
  return begun(given).pipe(
    Effect.zipRight(Effect.provide(DbMigrator.validate(tag, migratorOptions(given)), layer)),
    (work) =>
      ending(work, {
        json: given.json,
        checking: true,
        toJson: ({ current }) => ({ current }),
        show: ({ current, migrations }) =>
          `valid: ${at(current)}, ${plural(migrations.length, "migration")}, nothing pending`
      }),
    end
  )
}).pipe(Command.withDescription(
  "Check that everything is applied and unchanged. Changes nothing. Exits with 3 when something is pending, edited, missing, late or failed."
))

const repairText = (repair: DbMigrator.Repair): string =>
  repair._tag === "RemoveFailed"
    ? `removed the failed row of ${repair.row.script} (${repair.row.description})`
    : `set ${repair.row.script} to checksum ${repair.checksum ?? "none"} (was ${repair.row.checksum ?? "none"})` +
      (repair.description === repair.row.description
        ? ""
        : ` and to the description "${repair.description}" (was "${repair.row.description}")`)

/** `dblive repair` */
export const repair = Command.make("repair", { ...options.history, yes: options.yes }, (given) => {
  const { layer, tag } = open(given)
  return begun(given).pipe(
    Effect.zipRight(
      Effect.gen(function*() {
        const { repairs } = yield* DbMigrator.status(tag, migratorOptions(given))
        if (repairs.length > 0) {
          yield* confirmed(given, `Change ${plural(repairs.length, "row")} of the history of ${given.database}?`)
        }
        return yield* DbMigrator.repair(tag, migratorOptions(given))
      }).pipe(Effect.provide(layer))
    ),
    (work) =>
      ending(work, {
        json: given.json,
        toJson: (repairs) => ({ repairs }),
        show: (repairs) => repairs.length === 0 ? "nothing to repair" : repairs.map(repairText).join("\n")
      }),
    end
  )
}).pipe(Command.withDescription(
  "Remove failed rows from the history and set checksums to those of the files. Each change is listed; nothing but the history table is touched. Asks first."
))

/** `dblive baseline` */
export const baseline = Command.make(
  "baseline",
  {
    ...options.history,
    version: Args.text({ name: "version" }).pipe(
      Args.withDescription("The version that the database is at already. Defaults to 1"),
      Args.withDefault("1")
    ),
    description: Options.text("description").pipe(
      Options.withDefault("<< Baseline >>"),
      Options.withDescription("What the history says of it. Defaults to << Baseline >>")
    )
  },
  (given) => {
    const { layer, tag } = open(given)
    const { description, version } = given
    return begun(given).pipe(
      Effect.zipRight(
        Effect.provide(DbMigrator.baseline(tag, { ...migratorOptions(given), version, description }), layer)
      ),
      (work) =>
        ending(work, {
          json: given.json,
          toJson: () => ({ version }),
          show: () => `the history of ${given.database} begins at version ${version}; migrations up to it will not run`
        }),
      end
    )
  }
).pipe(
  Command.withDescription(
    "Say of a database without history that it is at a version already: migrations up to it will not run."
  )
)

/** `dblive undo` */
export const undo = Command.make("undo", { ...options.running, target: options.downTo, yes: options.yes }, (given) => {
  const opened = open(given)
  const { layer, tag } = opened
  const course = follow(opened, given, "undo")
  return begun(given).pipe(
    Effect.zipRight(Effect.gen(function*() {
      yield* confirmed(
        given,
        given.target === undefined
          ? `Undo the latest version of ${given.database}?`
          : `Undo every version of ${given.database} down to and including ${given.target}?`
      )
      const onEvent = yield* heard(given.json, course)
      return yield* Effect.provide(DbMigrator.undo(tag, { ...migratorOptions(given), onEvent }), layer)
    })),
    Effect.scoped,
    (work) =>
      ending(work, {
        json: given.json,
        undone: course.undone,
        toJson: (applied) => ({ applied }),
        show: (applied) =>
          applied.length === 0
            ? "nothing to undo"
            : [...appliedLines(applied), `undid ${plural(applied.length, "version")}`].join("\n")
      }),
    end
  )
}).pipe(
  Command.withDescription(
    "Take back the latest version by its U migration, or every version down to a target. Asks first."
  )
)

/** `dblive new` */
export const create = Command.make(
  "new",
  {
    database: options.target.database,
    folder: options.folder,
    json: options.json,
    undo: Options.boolean("undo").pipe(Options.withDescription("Write the undo migration, too")),
    repeatable: Options.boolean("repeatable").pipe(Options.withDescription("Write a repeatable migration (R__)")),
    name: Args.text({ name: "name" }).pipe(Args.withDescription("What it does, such as \"Create users\""))
  },
  (given) =>
    end(ending(
      DbMigrator.create({
        folder: folderOf(given),
        description: given.name,
        undo: given.undo,
        repeatable: given.repeatable,
        database: given.database
      }),
      {
        json: given.json,
        toJson: (files) => ({ files }),
        show: (files) => files.join("\n")
      }
    ))
).pipe(Command.withDescription(
  "Write the file of the next migration, from .template.sql in the folder where there is one. Needs no database."
))
