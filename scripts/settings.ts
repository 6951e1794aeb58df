/**
 * Writes docs/settings.md from the table in the code: npm run docs:settings
 */
import { writeFileSync } from "node:fs"
import { argv } from "node:process"
import { fileURLToPath } from "node:url"
import { markdown, markdownOfCode } from "../src/internal/config/table.js"

/** The page, as it is written. */
export const page = `<!-- Written by npm run docs:settings from src/internal/config/settings.ts: change it there. -->

# Settings

An option of \`Db.layer\` and a variable are the same setting in two places. The variables below are those of the default database. A
database of another name has its own: \`SURVEY_HUB_DATABASE_URL\` for \`Db.Tag("SurveyHub")\` (\`SURVEYHUB_...\` is read as well). What
wins, from the first to the last, for the database \`NAME\` in \`ENVIRONMENT\`:

1. \`{ENVIRONMENT}_GLOBAL_{NAME}_*\`, such as \`PRODUCTION_GLOBAL_SURVEY_HUB_CONNECTION_STRING\`
2. \`{NAME}_DATABASE_*\`, such as \`SURVEY_HUB_DATABASE_URL\`
3. for the default database: \`DATABASE_*\`
4. for pool and limits: \`{ENVIRONMENT}_GLOBAL_DATABASE_*\`, and \`{ENVIRONMENT}_GLOBAL_CONNECTION_POOL_SIZE\`
5. the parts of the URL
6. the defaults of the environment

The parts of an address (host, user, password, ...) are looked for down to the place where the URL was found and no further. An
empty variable counts as missing. \`..._FILE\` names a file that holds the value; those of user names and passwords are read again for every
new connection.

The environment is that of \`APP_ENV\`, else \`NODE_ENV\`, else \`development\`. A *test worker* is a process in the environment \`test\`
with \`DBLIVE_WORKER\`, or one of Vitest's. Lengths of time have a unit: \`500ms\`, \`10s\`, \`5min\`, \`1h\`.

\`DbConfig.dotenv(folder)\` adds the files \`.env.{environment}\` and \`.env\` of a folder below the process's variables.

${markdown}

These have no variable:

${markdownOfCode}
`

if (argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("../docs/settings.md", import.meta.url), page)
}
