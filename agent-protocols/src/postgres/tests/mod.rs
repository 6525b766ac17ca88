mod detection;
mod dialogue;
mod losses;
mod script;
