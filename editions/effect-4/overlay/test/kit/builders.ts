/** What the examples print that run other packages on dblive's connections. */

type Printed = Readonly<Record<string, ReadonlyArray<string | RegExp>>>

/** On SQLite. */
export const builders: Printed = {
  kysely: ["undone: UniqueViolation, RolledBack", "changed: 1", "Ada 1815, Grace 1907", "archived: Ada"]
}

/** On PostgreSQL. */
export const buildersOnPostgres: Printed = {
  ...builders,
  drizzle: ["undone: EffectDrizzleQueryError", /^Ada Lovelace 1815$/m, "of Ada: Sketch, Notes; of Bob: undefined"]
}
