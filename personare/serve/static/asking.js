"use strict"; // What the scripts of a page share: asking the program, and saying what went wrong.
const $ = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf]").content;
const complain = (text) => { $("problem").textContent = text; $("problem").hidden = !text; if (text) $("problem").scrollIntoView({ block: "nearest" }); };
const ask = async (path, content, headers) => { // content is JSON, or the bytes of a Blob
  const how = { headers: { accept: "application/json", ...headers } }, bytes = content instanceof Blob;
  if (content) {
    Object.assign(how, { method: "POST", body: bytes ? content : JSON.stringify(content) });
    Object.assign(how.headers, { "content-type": bytes ? "application/octet-stream" : "application/json", "x-csrf": csrf });
  }
  let answer;
  try { answer = await fetch(path, how); } catch { throw new Error("The program does not answer. Start personare again, and open the address it prints."); }
  const given = await answer.json();
  if (!answer.ok) throw new Error(given.error);
  return given;
};
const trying = (deed) => async (event) => { try { complain(""); await deed(event); } catch (error) { complain(error.message); } };
