/** What the examples print that run other packages on dblive's connections. */

type Printed = Readonly<Record<string, ReadonlyArray<string | RegExp>>>

/** On SQLite. */
export const builders: Printed = {
  kysely: ["undone: UniqueViolation, RolledBack", "changed: 1", "Ada 1815, Grace 1907", "archived: Ada"],
  drizzle: ["undone: UniqueViolation, RolledBack", /^Ada 1815$/m, "of Ada: Sketch, Notes; of Bob: undefined"],
  "better-auth": ["signed up: Ada, in: ada@example.org", "User already exists", "2 sessions, 1 transaction"]
}

/** The same on PostgreSQL. */
export const buildersOnPostgres: Printed = builders
