(function(){var tip=document.getElementById("tip");function text(e){var t=e.querySelector("title");return t?(e.__tip=t.textContent,t.remove()):0,e.__tip}
function show(e,x,y){tip.textContent=text(e);tip.style.display="block";var w=tip.offsetWidth,h=tip.offsetHeight;tip.style.left=Math.max(4,Math.min(x+14,innerWidth-w-4))+"px";tip.style.top=Math.max(4,y+18+h>innerHeight?y-h-12:y+18)+"px"}
document.addEventListener("pointermove",function(v){var e=v.target.closest&&v.target.closest("[data-tip]");if(e)show(e,v.clientX,v.clientY);else tip.style.display="none"});
document.addEventListener("pointerdown",function(v){var e=v.target.closest&&v.target.closest("[data-tip]");if(e)show(e,v.clientX,v.clientY);else tip.style.display="none"});
document.addEventListener("keydown",function(v){if(v.key==="Escape")tip.style.display="none"});
var shut=[];addEventListener("beforeprint",function(){shut=[].slice.call(document.querySelectorAll("details:not([open])"));shut.forEach(function(d){d.open=true})});
addEventListener("afterprint",function(){shut.forEach(function(d){d.open=false})})})();
