/**
 * The script of the status page: plain JavaScript for any browser of the last years, in parts that a test puts together
 * and checks as TypeScript would. They are texts, so that they are there wherever the package is, bundled or not.
 *
 * Written without template literals, because each part is one; every text reaches the document as text.
 */
import { chart } from "./script/chart.js"
import { database } from "./script/database.js"
import { dom } from "./script/dom.js"
import { feed } from "./script/feed.js"
import { format } from "./script/format.js"
import { history } from "./script/history.js"
import { main } from "./script/main.js"
import { meter } from "./script/meter.js"
import { tables } from "./script/tables.js"
import { tabs } from "./script/tabs.js"

/** In the order in which they need each other. */
export const parts = { dom, format, history, meter, chart, tables, database, tabs, feed, main }

export const script = `(() => {\n"use strict"\n${Object.values(parts).join("\n")}\n})()`
